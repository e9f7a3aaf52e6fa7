"""The mailbox accepts mails only from the topic that it subscribed to."""

import queue
import socket
from typing import Any, cast

import httpx
import pytest

from orderwatch_local.cloud.inbox import Mail, Mailbox
from orderwatch_local.cloud.local_cloud import LocalCloud

ARN = "arn:aws:sns:us-east-1:000000000000:alerts"
WITHIN = 20.0
"""Seconds for what takes a fraction of one: a wide bound, so that a fault fails the test instead of hanging it."""


class Topic:
    """A cloud with one topic, which asks a subscriber for confirmation."""

    def __init__(self, confirmation: dict[str, str], *, endpoint: str = "http://127.0.0.1:1") -> None:
        self.endpoint = endpoint
        self.confirmed: list[tuple[str, str]] = []
        self.url = ""
        self._confirmation = confirmation

    def client(self, service: str) -> "Topic":
        assert service == "sns"
        return self

    def subscribe(self, **subscription: str) -> None:
        self.url = subscription["Endpoint"]
        post(self.url, self._confirmation)

    def confirm_subscription(self, **confirmed: str) -> None:
        self.confirmed.append((confirmed["TopicArn"], confirmed["Token"]))


def post(url: str, message: dict[str, Any]) -> int:
    return httpx.post(url, json=message, timeout=WITHIN, trust_env=False).status_code


def test_a_message_of_the_topic_is_received(cloud: LocalCloud) -> None:
    mails: queue.Queue[Mail] = queue.Queue()
    topic_arn = cloud.client("sns").create_topic(Name="mailed")["TopicArn"]
    with Mailbox(cloud, topic_arn, mails.put):
        cloud.client("sns").publish(TopicArn=topic_arn, Subject="One", Message="order 1")
        mail = mails.get(timeout=WITHIN)
    assert (mail.subject, mail.text) == ("One", "order 1")


def test_another_process_cannot_deliver_a_message() -> None:
    mails: list[Mail] = []
    topic = Topic({"Type": "SubscriptionConfirmation", "TopicArn": ARN, "Token": "t"})
    with Mailbox(cast("LocalCloud", topic), ARN, mails.append):
        address = topic.url.rpartition("/")[0]
        for path in ("/", "/mails", "/%C3%A9"):
            assert post(address + path, {"Type": "Notification", "Subject": "forged", "Message": "forged"}) == 404
    assert mails == []


def test_the_url_in_a_confirmation_is_not_visited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # Starts with the cloud's own address, but the port has one more digit.
        forged = {"SubscribeURL": f"http://127.0.0.1:{port}/", "TopicArn": ARN, "Token": "t"}
        topic = Topic({"Type": "SubscriptionConfirmation", **forged}, endpoint=f"http://127.0.0.1:{str(port)[:-1]}")
        with Mailbox(cast("LocalCloud", topic), ARN, lambda _: None):
            assert topic.confirmed == [(ARN, "t")]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
