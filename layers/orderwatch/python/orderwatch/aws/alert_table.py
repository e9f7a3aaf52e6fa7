"""AlertTable: one row an alert, outbox and ledger in one.

A row is `pending` until its message was sent, and a sender claims it for a while before it sends: two that hold the
same alert at the same time cannot both send it. A claim ends by itself: a sender that died holds nothing up for long.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orderwatch.alerts import Alert
from orderwatch.aws.dynamodb import Action, batch_get, from_item, put_action, to_item
from orderwatch.model import describe_flaws
from orderwatch.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLAIM = timedelta(seconds=130)
"""How long a claim lasts: longer than a sender lives (publish_alerts: 120 seconds)."""
KEPT_AFTER_SENT = timedelta(days=90)
"""How long a sent row is kept; one that is pending never expires."""
PENDING = "pending"
SENT = "sent"


class AlertTable:
    """The rows of alerts.

    Args:
        client: DynamoDB.
        name: The table.
        clock: Our clock, aware.
    """

    def __init__(self, client: "DynamoDBClient", name: str, *, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._name = name
        self._clock = clock

    def put_action(self, alert: Alert) -> Action:
        """The write of a new alert, on condition that there is none with its id (rule 2)."""
        order = alert.order
        row = {
            "alert_id": alert.alert_id,
            "kind": alert.kind,
            "connection_id": alert.connection_id,
            "order_id": order.id if order else None,
            "status": order.status if order else None,
            "previous_status": order.previous_status if order else None,
            "alert": alert.model_dump_json(exclude_none=True),
            "state": PENDING,
            "pending": PENDING,
            "created_at": self._clock().isoformat(),
            "attempts": 0,
        }
        return put_action(self._name, row, condition="attribute_not_exists(alert_id)", values={})

    def unsent(self, alert_ids: Collection[str]) -> Iterator[Alert]:
        """Those of these alerts that are still pending, consistent, 100 a request.

        One that cannot be read (another release wrote it) holds no other up: it is logged and stays pending.
        """
        rows = batch_get(self._client, self._name, ({"alert_id": alert_id} for alert_id in alert_ids))
        alerts = (_read(row) for row in rows if row["state"] == PENDING)
        return (alert for alert in alerts if alert)

    def pending_since_before(self, moment: datetime) -> Iterator[str]:
        """The ids of alerts that were made before the moment and not sent, oldest first, by the sparse index."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="pending",
            KeyConditionExpression="pending = :pending AND created_at < :moment",
            ExpressionAttributeValues=to_item({":pending": PENDING, ":moment": moment.isoformat()}),
            ProjectionExpression="alert_id",
        )
        for page in pages:
            yield from (from_item(item)["alert_id"] for item in page["Items"])

    def claim(self, alert_id: str) -> bool:
        """Take the alert for sending, and count the attempt; False where it is sent or somebody else holds it."""
        now = self._clock()
        return self._update(
            alert_id,
            "SET claimed_until = :until ADD attempts :one",
            condition="#state = :pending AND (attribute_not_exists(claimed_until) OR claimed_until <= :now)",
            values={
                ":until": int((now + CLAIM).timestamp()),
                ":now": int(now.timestamp()),
                ":one": 1,
                ":pending": PENDING,
            },
        )

    def release(self, alert_id: str) -> None:
        """Give a claimed alert back unsent."""
        self._update(alert_id, "REMOVE claimed_until", condition="#state = :pending", values={":pending": PENDING})

    def mark_sent(self, alert_id: str, *, message_id: str) -> None:
        """Record that the alert's message was taken by SNS; from here on the row may expire."""
        now = self._clock()
        self._update(
            alert_id,
            "SET #state = :sent, sent_at = :now, message_id = :message_id, expires_at = :expires_at "
            "REMOVE pending, claimed_until",
            condition="attribute_exists(alert_id)",
            values={
                ":sent": SENT,
                ":now": now.isoformat(),
                ":message_id": message_id,
                ":expires_at": int((now + KEPT_AFTER_SENT).timestamp()),
            },
        )

    def _update(self, alert_id: str, update: str, *, condition: str, values: dict[str, Any]) -> bool:
        names = {"#state": "state"} if "#state" in update + condition else {}
        try:
            self._client.update_item(
                TableName=self._name,
                Key=to_item({"alert_id": alert_id}),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                **({"ExpressionAttributeNames": names} if names else {}),  # type: ignore[arg-type]
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _read(row: dict[str, Any]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError as error:
        logger.error("an alert cannot be read", extra={"alert_id": row["alert_id"], "flaws": describe_flaws(error)})
        return None
