"""The token of an action link: who can make one, how long it works, and which alerts have a link."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import pytest
from pydantic import SecretStr

from orderwatch.action_links import (
    MAX_TOKEN,
    VALID_FOR,
    ActionLinks,
    LinkExpiredError,
    LinkInvalidError,
    OrderKey,
    sign,
    verify,
)
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_RECOVERED, KIND_REMINDER, KIND_RESTOCKED
from tests.support.alerts import alert_of
from tests.support.clocks import NOON, FakeClock, running_on

KEY = SecretStr("k" * 43)
ORDER = OrderKey("conn_a", "order-1")
SECOND = timedelta(seconds=1)


def token(order: OrderKey = ORDER, key: SecretStr = KEY) -> str:
    signed = sign(order, key, at=NOON)
    assert signed
    return signed


def flipped(text: str, position: int) -> str:
    """The token with one bit of its data changed."""
    data = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    data[position] ^= 1
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("order", [ORDER, OrderKey("c", 'Ä"\\ \x00/#'), OrderKey("c" * 256, "o" * 256)], ids=len)
def test_a_token_names_its_order_for_14_days(order: OrderKey) -> None:
    assert verify(token(order), KEY, at=NOON + VALID_FOR - SECOND) == order
    with pytest.raises(LinkExpiredError):
        verify(token(order), KEY, at=NOON + VALID_FOR)


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ("", "empty"),
        ("favicon.ico", "no token"),
        (flipped(token(), 3), "another order"),
        (flipped(token(), -1), "another signature"),
        (flipped(token(), -33), "a later expiry"),
        (token(key=SecretStr("x" * 43)), "signed with another key"),
        (token()[:-1], "truncated"),
        (token()[:40], "without a signature"),
        (f"{token()}A", "longer"),
        (f"{token()}=", "padding"),
        (f"{token()[:8]}!{token()[8:]}", "a character that decoders skip"),
        (f"{token()}/", "a slash"),
        (token() + "A" * MAX_TOKEN, "oversized"),
        (f"é{token()[1:]}", "not ASCII"),
        (urlsafe_b64encode(b"A" * 64).decode().rstrip("="), "no JSON"),
    ],
)
def test_a_token_that_was_not_signed_with_the_key_is_invalid(invalid: str, reason: str) -> None:
    for at in (NOON, NOON + 2 * VALID_FOR):  # it does not say either whether it would have expired
        with pytest.raises(LinkInvalidError):
            verify(invalid, KEY, at=at)
    assert reason


def test_ids_that_are_too_long_for_a_link_get_none() -> None:
    assert sign(OrderKey("c", "o" * MAX_TOKEN), KEY, at=NOON) is None


def links(key: SecretStr | None = KEY) -> ActionLinks:
    return ActionLinks("https://abc.lambda-url.us-east-1.on.aws/", lambda: key)


@pytest.mark.parametrize(
    ("status", "kind", "has_link"),
    [
        ("exception", "order.exception", True),
        ("backordered", "order.backordered", True),
        ("backordered", KIND_RESTOCKED, True),
        ("open", KIND_LATE, True),
        ("exception", KIND_REMINDER, True),
        ("open", KIND_AT_RISK, False),
        ("open", KIND_RECOVERED, False),
        ("cancelled", "order.cancelled", False),
    ],
)
def test_alerts_about_an_order_that_needs_attention_have_a_link(status: str, kind: str, has_link: bool) -> None:
    alert = alert_of("order-1", status=status).model_copy(update={"kind": kind})
    with running_on(FakeClock(NOON)):
        link = links().link(alert)
    assert (link is not None) is has_link
    if link:
        assert verify(link.rpartition("/")[2], KEY, at=NOON) == ORDER
        assert link.startswith("https://abc.lambda-url.us-east-1.on.aws/W"), "one slash"


def test_no_other_alert_and_no_alert_without_a_key_has_a_link() -> None:
    alert: Alert = alert_of("order-1")
    assert links(None).link(alert) is None
    assert links().link(alert.replace(order=None)) is None
