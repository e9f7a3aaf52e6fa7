"""`orderwatch connect`, `disconnect`, `connect-trackstar` and `connect-slack`: what they check and what they store."""

import pytest

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch_cli.aws import Aws
from orderwatch_cli.commands import connect
from orderwatch_cli.stack import TABLE
from orderwatch_local.simulator import Shop, SystemClock
from tests.support.operated import API_KEY, CONNECTION, TOKEN, Operated
from tests.support.slack_channel import SlackChannel

ENCRYPTED = "SecureString"
SHOP = {"connections/conn_a/access-token": (ENCRYPTED, TOKEN), "connections/conn_a/name": ("String", "Nordic Outdoor")}
KEY = {"trackstar/api-key": (ENCRYPTED, API_KEY)}


@pytest.fixture
def with_key(operated: Operated) -> Operated:
    operated.create(TABLE)
    operated.put_secret("trackstar/api-key", API_KEY)
    return operated


def watched(operated: Operated) -> list[str]:
    """The connections that the next tick polls."""
    return list(ConnectionTable(operated.stack.aws.dynamodb, "ConnectionTable").registry().watched)


def test_connect_stores_the_token_encrypted_and_the_name(with_key: Operated) -> None:
    ran = with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=f"{TOKEN}\n")
    assert (ran.code, ran.err) == (0, "")
    assert "connected conn_a (shopify, healthy)" in ran.out
    assert TOKEN not in ran.out
    assert with_key.parameters() == KEY | SHOP
    assert watched(with_key) == [CONNECTION]


def test_a_secret_is_encrypted_with_the_key_of_the_stack(with_key: Operated) -> None:
    own = "arn:aws:kms:us-east-1:123456789012:key/1111"
    with_key.describe(TrackstarBaseUrl=with_key.stack.parameters.trackstar_base_url, KmsKeyArn=own)
    assert with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN).code == 0
    with Aws() as aws:
        found = aws.ssm.describe_parameters()["Parameters"]
    keys = {each["Name"].removeprefix("/orderwatch/"): each.get("KeyId") for each in found}
    # The API key was stored before the stack had a key of its own.
    assert keys["connections/conn_a/access-token"] == own != keys["trackstar/api-key"]


def test_connect_again_replaces_the_token_and_keeps_the_name(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.trackstar.connect(Shop(CONNECTION, access_token="token-rotated", clock=SystemClock()))
    assert with_key.json("connect", CONNECTION, stdin="token-rotated")["health"] == "healthy"
    rotated = {"connections/conn_a/access-token": (ENCRYPTED, "token-rotated")}
    assert with_key.parameters() == KEY | SHOP | rotated


@pytest.mark.parametrize(
    ("connection_id", "token", "message"),
    [
        (CONNECTION, "very-secret", "the access token of conn_a is not valid"),
        (CONNECTION, "", "no access token"),
        (CONNECTION, "v\u00e9ry-secret", "the access token of conn_a is not valid"),
        ("conn_gone", TOKEN, "Trackstar has no connection conn_gone"),
        ("conn_b", "token-of-conn-c", "this is the access token of conn_c: use the token of conn_b\n"),
    ],
)
def test_connect_stores_no_token_that_does_not_fit(
    with_key: Operated, connection_id: str, token: str, message: str
) -> None:
    with_key.connect("conn_c", "token-of-conn-c")
    before = with_key.parameters()
    ran = with_key.run("connect", connection_id, stdin=token)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err
    assert "very-secret" not in ran.err
    assert with_key.parameters() == before


def test_connect_without_an_api_key_names_the_remedy(operated: Operated) -> None:
    ran = operated.run("connect", CONNECTION, stdin=TOKEN)
    assert (ran.code, operated.parameters()) == (1, {})
    assert "/orderwatch/trackstar/api-key, the Trackstar API key, is missing" in ran.err
    assert "store it with: orderwatch connect-trackstar" in ran.err


def test_connect_rejects_an_invalid_connection_id(operated: Operated) -> None:
    ran = operated.run("connect", "../trackstar", stdin=TOKEN)
    assert (ran.code, "is not a connection ID" in ran.err) == (2, True)


def test_disconnect_asks_and_keeps_the_orders(with_key: Operated) -> None:
    with_key.run("connect", CONNECTION, "--name", "Nordic Outdoor", stdin=TOKEN)
    with_key.polled(CONNECTION)
    for refusal in ("n\n", ""):
        ran = with_key.run("disconnect", CONNECTION, stdin=refusal)
        assert (ran.code, "nothing was changed: answer y on standard input, or use --yes" in ran.err) == (1, True)
        assert with_key.parameters() == KEY | SHOP
    ran = with_key.run("disconnect", CONNECTION, stdin="y\n")
    assert (ran.code, "are kept" in ran.out) == (0, True)
    assert with_key.parameters() == KEY
    assert watched(with_key) == []
    assert len(with_key.rows("ConnectionTable")) == 1, "a reconnection continues from its cursor"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("disconnect", "nope"), "no shop nope is connected; list the shops with: orderwatch shops"),
        (("disconnect", "nope", "--yes"), "no shop nope is connected; list the shops with: orderwatch shops"),
        (("connect", "nope"), "/orderwatch/trackstar/api-key, the Trackstar API key, is missing"),
    ],
)
def test_nothing_is_asked_before_it_is_checked(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr(connect, "read_secret", lambda _: pytest.fail("it asks"))
    ran = operated.run(*typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith(f"orderwatch: {message}")


def test_connect_trackstar_stores_the_key_encrypted(operated: Operated) -> None:
    operated.put("trackstar/api-key", "in-the-clear")
    ran = operated.run("connect-trackstar", stdin=f"{API_KEY}\n")
    assert (ran.code, ran.err) == (0, "")
    assert API_KEY not in ran.out
    assert operated.parameters() == KEY
    assert operated.versions("trackstar/api-key") == 1, "the history of the unencrypted value is deleted"


def test_webhook_gets_a_test_message_and_is_stored_encrypted(operated: Operated) -> None:
    with SlackChannel() as channel:
        ran = operated.run("connect-slack", stdin=f"{channel.url}\n")
        assert (ran.code, ran.err) == (0, "")
        assert channel.url not in ran.out
        assert ["TEST" in each["text"] for each in channel.messages] == [True]
        assert operated.parameters() == {"slack/webhook-url": (ENCRYPTED, channel.url)}
        operated.describe(SlackEnabled="false")
        stored = operated.json("connect-slack", stdin=channel.url)
    assert stored == {"parameter": "/orderwatch/slack/webhook-url", "is_enabled": False}


@pytest.mark.parametrize(
    ("command", "typed", "message"),
    [
        ("connect-trackstar", "another-secret", "Trackstar rejects the API key"),
        ("connect-trackstar", "", "no API key"),
        ("connect-trackstar", "k\u00e9y", "cannot be sent"),
        ("connect-slack", "", "no URL: enter it at the prompt or on standard input"),
        ("connect-slack", '"https://hooks.slack.com/services/another-secret"', "without quotes"),
        ("connect-slack", "http://hooks.slack.com/services/another-secret", "not the https URL of a webhook"),
        ("connect-slack", "https://hooks.slack.com/triggers/T0/another-secret", "create an incoming webhook"),
        ("connect-slack", "http://127.0.0.1:9/another-secret", "Slack was not reached (URLError)"),
    ],
)
def test_rejected_key_or_webhook_is_not_stored(operated: Operated, command: str, typed: str, message: str) -> None:
    ran = operated.run(command, stdin=typed)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert message in ran.err
    assert "another-secret" not in ran.err
    assert operated.parameters() == {}
