"""What a subscriber of a topic on the local cloud receives.

There are two inboxes, because SNS sends each protocol its own body: `Mailbox` gets the text over HTTP (the same text
as an e-mail), `JsonInbox` gets `orderwatch.alert.v1` from a queue.
"""

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from orderwatch_local.cloud.local_cloud import LocalCloud

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


LOOPBACK = "127.0.0.1"
WAIT_SECONDS = 1
"""Long-polling time of the queue; closing an inbox takes up to that long."""


@dataclass(frozen=True, slots=True)
class Mail:
    """An alert as a person receives it.

    Attributes:
        subject: The e-mail's subject.
        text: The e-mail's text.
        received_at: `time.monotonic()` when it was received.
    """

    subject: str
    text: str
    received_at: float


class Mailbox:
    """An HTTP subscriber on a loopback port, which confirms its subscription.

    Its path is secret, so that no other process can deliver a message. It visits no URL of a message: it confirms the
    subscription by an API call to the cloud.

    Args:
        cloud: The cloud that has the topic.
        topic_arn: The topic to subscribe to.
        on_mail: Called for each message, in a thread of the server.
    """

    def __init__(self, cloud: LocalCloud, topic_arn: str, on_mail: Callable[[Mail], None]) -> None:
        self._sns = cloud.client("sns")
        self._topic_arn = topic_arn
        self._on_mail = on_mail
        self._confirmed = threading.Event()
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mailbox")

    def __enter__(self) -> Self:
        self._thread.start()
        url = f"http://{LOOPBACK}:{self._server.server_address[1]}{self._path}"
        self._sns.subscribe(TopicArn=self._topic_arn, Protocol="http", Endpoint=url)
        if not self._confirmed.wait(timeout=10):
            self.close()
            raise TimeoutError("the local cloud did not ask to confirm the mailbox's subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _receive(self, message: dict[str, Any]) -> None:
        if message["Type"] == "Notification":
            self._on_mail(Mail(message.get("Subject", ""), message["Message"], time.monotonic()))
        elif message["TopicArn"] == self._topic_arn:
            self._sns.confirm_subscription(TopicArn=self._topic_arn, Token=message["Token"])
            self._confirmed.set()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receive, path = self._receive, self._path.encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if not hmac.compare_digest(self.path.encode(), path):
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receive(json.loads(body))

            def log_message(self, *_: object) -> None:
                """Log nothing: the messages are shown."""

        return Handler


class JsonInbox:
    """Receives `orderwatch.alert.v1` from a queue that is subscribed to a topic, each alert once.

    Args:
        sqs: The client for the queue.
        queue_url: The queue.
        on_alert: Called for each alert, in the inbox's thread, with the JSON as it was sent.
    """

    def __init__(self, sqs: "SQSClient", queue_url: str, on_alert: Callable[[str], None]) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._on_alert = on_alert
        self._closing = threading.Event()
        self._known: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="inbox")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.is_set():
            answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
            for message in answer.get("Messages", []):
                self._take(message["Body"])
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _take(self, body: str) -> None:
        alert_id = _alert_id(body)
        if alert_id and alert_id not in self._known:  # delivery is at least once: a copy has the same id
            self._known.add(alert_id)
            self._on_alert(body)


def _alert_id(body: str) -> str | None:
    """The id of an alert; None if the message is no alert, but an alarm for example."""
    try:
        return str(json.loads(body)["alert_id"])
    except (ValueError, LookupError, TypeError):
        return None
