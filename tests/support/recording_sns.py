"""SNS as a list of accepted messages, at the level of boto3's client."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from orderwatch.aws.sns import AlertTopic

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

ARN = "arn:aws:sns:us-east-1:123456789012:alerts"


class RecordingSns:
    """Accepts every message, unless a test makes it refuse.

    Attributes:
        batches: The entries of every request, oldest first.
        taken: The JSON of every accepted message.
        refuses: Whether a single message, by its JSON, is refused.
        is_down: Whether whole requests are refused.
        subscriptions: The subscriptions of every topic.
        breaks: Errors of the next requests, one each; SNS accepts nothing of them.
    """

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.taken: list[dict[str, Any]] = []
        self.refuses: Callable[[dict[str, Any]], bool] = lambda body: False
        self.is_down = False
        self.subscriptions = [{"SubscriptionArn": f"{ARN}:1", "Protocol": "email", "Endpoint": "a@b.example"}]
        self.breaks: list[Exception] = []

    def as_client(self) -> "SNSClient":
        return cast("SNSClient", self)

    @property
    def topic(self) -> AlertTopic:
        """Our adapter on it; sleeping takes no time."""
        return AlertTopic(self.as_client(), ARN)

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        entries = request["PublishBatchRequestEntries"]
        self.batches.append(entries)
        if self.breaks:
            raise self.breaks.pop(0)
        if self.is_down:
            raise ClientError({"Error": {"Code": "InternalError", "Message": "down"}}, "PublishBatch")
        successful, failed = [], []
        for entry in entries:
            body = json.loads(json.loads(entry["Message"])["sqs"])
            if self.refuses(body):
                failed.append({"Id": entry["Id"], "Code": "InvalidParameter", "SenderFault": True})
            else:
                self.taken.append(body)
                successful.append({"Id": entry["Id"], "MessageId": f"message-{len(self.taken)}"})
        return {"Successful": successful, "Failed": failed}

    @property
    def exceptions(self) -> Any:
        return SimpleNamespace(NotFoundException=KeyError)

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_subscriptions_by_topic"
        return SimpleNamespace(paginate=lambda **_: [{"Subscriptions": self.subscriptions}])

    def sent_ids(self) -> list[str]:
        """The ids of all sent alerts, those in digests included, with repeats."""
        return [alert_id for body in self.taken for alert_id in alert_ids_in(body)]


def alert_ids_in(body: dict[str, Any]) -> list[str]:
    """The ids of the alerts in one message.

    A held alert that is sent as a recovery has its own id, and its own kind in `merged`.
    """
    if digest := body.get("digest"):
        return [each for order in digest["orders"] for each in dict.fromkeys((order["alert_id"], *order["merged"]))]
    return list(dict.fromkeys([body["alert_id"], *(each["alert_id"] for each in body.get("merged", ()))]))
