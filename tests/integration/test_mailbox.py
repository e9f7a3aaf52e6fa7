"""The inboxes of `up`: the mailbox accepts mails only from its topic, the JSON inbox alerts alone."""

import queue
import socket
from typing import Any, cast

import httpx
import pytest

from orderwatch_local.cloud.inbox import JsonInbox, Mail, Mailbox
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


def test_only_a_message_to_the_secret_path_is_received() -> None:
    mails: queue.Queue[Mail] = queue.Queue()
    topic = Topic({"Type": "SubscriptionConfirmation", "TopicArn": ARN, "Token": "t"})
    with Mailbox(cast("LocalCloud", topic), ARN, mails.put):
        address = topic.url.rpartition("/")[0]
        for path in ("/", "/mails", "/%C3%A9"):
            assert post(address + path, {"Type": "Notification", "Subject": "forged", "Message": "forged"}) == 404
        assert post(topic.url, {"Type": "Notification", "Subject": "One", "Message": "order 1"}) == 200
        mail = mails.get(timeout=WITHIN)
    assert (mail.subject, mail.text, mails.empty()) == ("One", "order 1", True)


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


def test_a_json_inbox_takes_each_alert_once_and_nothing_else() -> None:
    taken: list[str] = []
    inbox = JsonInbox(cast("Any", None), "url", taken.append)
    for body in ('{"AlarmName": "NoPolls"}', "[1]", "not json", '{"alert_id": "a"}', '{"alert_id": "a"}', "7"):
        inbox._take(body)
    assert taken == ['{"alert_id": "a"}']
