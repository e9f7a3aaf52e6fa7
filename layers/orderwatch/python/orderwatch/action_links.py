"""Links in messages that open the page of one order, where whoever has the link can take or snooze it (rule 24).

    <URL of handle_action>/<token>      token: base64url(payload + HMAC-SHA256(key, payload)), without padding
                                        payload: the JSON list [connection id, order id, expiry in Unix seconds]

Pure functions. The link is a secret: it must be in no log and no error.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import SecretStr

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_RECOVERED
from orderwatch.errors import OrderwatchError
from orderwatch.statuses import FINAL_STATUSES

VALID_FOR = timedelta(days=14)
"""How long a link works."""
MAX_TOKEN = 1800
"""Maximum characters of a token, so that a message can show its link (2,048). Longer ids get no link."""
_NEED_NO_ATTENTION = {KIND_RECOVERED, KIND_AT_RISK}
_MAC_BYTES = hashlib.sha256().digest_size


class LinkInvalidError(OrderwatchError):
    """The token was not made with this key: tampered, foreign, incomplete, or signed before the key was replaced."""


class LinkExpiredError(OrderwatchError):
    """The token was made with this key, and its time is over."""


class OrderKey(NamedTuple):
    """The order that a link is for."""

    connection_id: str
    order_id: str


def sign(order: OrderKey, key: SecretStr, *, at: datetime) -> str | None:
    """The token of an order, valid until `VALID_FOR` after `at`; None if its ids are too long."""
    payload = json.dumps([*order, int((at + VALID_FOR).timestamp())], separators=(",", ":")).encode()
    token = _encode(payload + _mac(payload, key))
    return token if len(token) <= MAX_TOKEN else None


def verify(token: str, key: SecretStr, *, at: datetime) -> OrderKey:
    """The order of a token. Nothing of it is interpreted before its signature is known to be right.

    Raises:
        LinkInvalidError: It was not made with this key.
        LinkExpiredError: It was, and its time is over.
    """
    signed = _decode(token)
    payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, key)):
        raise LinkInvalidError("the link is invalid")
    connection_id, order_id, expiry = json.loads(payload)
    if at >= datetime.fromtimestamp(expiry, UTC):
        raise LinkExpiredError("the link has expired")
    return OrderKey(connection_id, order_id)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    """The bytes of a token; the only token that has them."""
    if len(token) > MAX_TOKEN or not token.isascii():
        raise LinkInvalidError("the link is invalid")
    try:
        data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raise LinkInvalidError("the link is invalid") from None
    if _encode(data) != token:  # the decoder skips characters outside the alphabet
        raise LinkInvalidError("the link is invalid")
    return data


def _mac(payload: bytes, key: SecretStr) -> bytes:
    return hmac.digest(key.get_secret_value().encode(), payload, "sha256")


@dataclass(frozen=True, slots=True)
class ActionLinks:
    """Makes the links of alerts.

    Attributes:
        url: The URL of handle_action.
        key: Returns the key; None: there is none, and so there are no links.
    """

    url: str
    key: Callable[[], SecretStr | None]

    def link(self, alert: Alert) -> str | None:
        """The link of an alert about an order that needs attention; None for another alert, or without a key."""
        order = alert.order
        if order is None or order.status in FINAL_STATUSES or alert.kind in _NEED_NO_ATTENTION:
            return None
        key = self.key()
        token = sign(OrderKey(alert.connection_id, order.id), key, at=clock.now()) if key else None
        return f"{self.url.rstrip('/')}/{token}" if token else None
