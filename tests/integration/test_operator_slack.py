"""`orderwatch connect-slack`, with a webhook on this machine."""

import threading
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import SlackChannel
from tests.support.operated import Operated

PARAMETER = "slack/webhook-url"


@pytest.fixture
def channel() -> Iterator[SlackChannel]:
    with SlackChannel() as channel:
        thread = threading.Thread(target=channel.serve_forever)
        thread.start()
        yield channel
        channel.shutdown()
        thread.join()


def test_webhook_gets_a_test_message_and_is_stored_encrypted(operated: Operated, channel: SlackChannel) -> None:
    ran = operated.run("connect-slack", stdin=f"{channel.url}\n")
    assert (ran.code, ran.err) == (0, "")
    assert channel.url not in ran.out
    [message] = channel.messages
    assert "TEST" in message["text"]
    name = f"/{operated.name}/{PARAMETER}"
    stored = operated.cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (stored["Type"], stored["Value"]) == ("SecureString", channel.url)
    assert operated.json("connect-slack", stdin=channel.url) == {"parameter": name, "is_enabled": True}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "no URL: enter it at the prompt or on standard input"),
        ("very-secret", "this is not the https URL of a webhook"),
        ('"https://hooks.slack.com/services/very-secret"', "without quotes"),
        ("http://hooks.slack.com/services/very-secret", "this is not the https URL of a webhook"),
        ("http://127.0.0.1:9/very-secret", "Slack was not reached (URLError)"),
    ],
)
def test_invalid_webhook_is_not_stored(operated: Operated, typed: str, message: str) -> None:
    ran = operated.run("connect-slack", stdin=typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err
    assert "very-secret" not in ran.err
    assert not operated.has(PARAMETER)
