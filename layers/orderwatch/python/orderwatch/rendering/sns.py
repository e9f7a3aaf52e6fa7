"""One SNS publish: a subject, a text or JSON for each protocol, and attributes for filter policies.

Programs receive the JSON `orderwatch.alert.v1` (its schema: `docs/alert.schema.json`).
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import amazon_q, content, email, formatting, next_steps, sms

MAX_BYTES = 262_144
"""SNS takes 256 KB, including the attributes."""
MAX_JSON_BYTES = 200_000
MAX_ATTRIBUTE = 256
MACHINE_PROTOCOLS = ("sqs", "lambda", "firehose")

_LARGEST_NUMBER = Decimal(999_999_999)
_FIVE_DECIMALS = Decimal("0.00001")
_RESERVE = 1024


class Attribute(NamedTuple):
    """An SNS message attribute."""

    type: Literal["String", "String.Array", "Number"]
    value: str


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """The message to publish.

    Attributes:
        subject: The subject of e-mails: printable ASCII of fewer than 100 characters.
        bodies: The text for each protocol, always including `default`.
        attributes: The attributes by name, without empty ones.
    """

    subject: str
    bodies: Mapping[str, str]
    attributes: Mapping[str, Attribute]

    @property
    def message(self) -> str:
        """The `Message` of a publish with `MessageStructure=json`."""
        return json.dumps(dict(self.bodies), ensure_ascii=False, separators=(",", ":"))

    @property
    def size(self) -> int:
        """Bytes that count towards `MAX_BYTES`: the message and the attributes (and the subject, to be safe)."""
        parts = [self.message, self.subject, *self.attributes]
        parts += [part for attribute in self.attributes.values() for part in attribute]
        return sum(len(part.encode()) for part in parts)


def render(alert: Alert, *, action_url: str | None = None) -> SnsMessage:
    """The alert for every protocol, within the limits of each of them and of SNS.

    A text that is cut ends with an exact "+N more". The JSON for programs, of which the message contains three copies,
    gets the space that the other texts leave.

    Args:
        alert: Any alert.
        action_url: The link that takes or snoozes the order, for people who read e-mail; no other protocol has it.

    Raises:
        ValueError: The message cannot be made small enough; send the fallback instead.
    """
    text = email.body(alert)
    for_people = email.body(alert, action_url=action_url) if action_url else text
    bodies = {"default": text, "email": for_people, "sms": sms.body(alert), "https": amazon_q.body(alert)}
    subject, attributes = email.subject(alert), attributes_of(alert)
    room = MAX_BYTES - _RESERVE - SnsMessage(subject, bodies, attributes).size
    most = min(MAX_JSON_BYTES, room // len(MACHINE_PROTOCOLS))
    # Quotes and backslashes grow when a copy is escaped: if the whole space is too much, try less.
    for limit in (most, most * 4 // 5, most // 2, most // 4):
        message = SnsMessage(subject, bodies | for_programs(json_body(alert, limit=limit)), attributes)
        if message.size <= MAX_BYTES:
            return message
    raise ValueError(f"alert {alert.alert_id} does not fit an SNS message")


def for_programs(body: str) -> dict[str, str]:
    """The same JSON for each protocol that programs subscribe with."""
    return dict.fromkeys(MACHINE_PROTOCOLS, body)


def json_body(alert: Alert, *, limit: int = MAX_JSON_BYTES) -> str:
    """The alert as compact JSON of at most `limit` bytes in UTF-8.

    A larger alert loses order lines (a digest or backlog: orders; a summary: shops) from the end, and the JSON contains
    the exact number left out. An alert that is too large without any list exceeds the limit.
    """
    alert = with_texts(alert)
    if _size(alert) <= limit:
        return _dump(alert)
    if alert.summary:

        def fits(shown: DailySummary) -> bool:
            return _size(alert.replace(summary=shown)) <= limit

        return _dump(alert.replace(summary=alert.summary.longest(fits)))
    alert = alert.replace(detail=content.short_detail(alert))
    kept = bisect_left(range(1, _list_length(alert) + 1), True, key=lambda count: _size(_keeping(alert, count)) > limit)
    return _dump(_keeping(alert, kept))


def with_texts(alert: Alert) -> Alert:
    """The alert with the fields that are set when it is sent: title, next step, urgency."""
    return alert.replace(
        title=content.title(alert),
        next_step=next_steps.next_step(alert),
        urgency=formatting.urgency(alert),
        late_hours=formatting.late_hours(alert),
    )


def _dump(alert: Alert) -> str:
    return formatting.without_noncharacters(alert.model_dump_json())


def _size(alert: Alert) -> int:
    return len(_dump(alert).encode())


def _list_length(alert: Alert) -> int:
    if alert.digest:
        return len(alert.digest.orders)
    if alert.backlog:
        return len(alert.backlog.orders)
    return len(alert.order.line_items) if alert.order else 0


def _keeping(alert: Alert, count: int) -> Alert:
    """The alert with the first `count` entries of its list."""
    if alert.digest:
        return alert.replace(digest=alert.digest.keeping(count))
    if alert.backlog:
        return alert.replace(backlog=alert.backlog.keeping(count))
    return alert.replace(order=alert.order.keeping(count)) if alert.order else alert


def attributes_of(alert: Alert) -> dict[str, Attribute]:
    """The attributes for filter policies, without unknown values: SNS refuses empty ones."""
    strings = {"kind": alert.kind, "severity": str(alert.severity), "connection_id": alert.connection_id}
    strings |= {"urgency": str(formatting.urgency(alert))}
    strings |= {name: value for name, value in _subject_strings(alert).items() if value}
    cut = {name: formatting.clip(formatting.clean(value), MAX_ATTRIBUTE) for name, value in strings.items()}
    attributes = {name: Attribute("String", value) for name, value in cut.items() if value}
    if alert.merged:  # a filter policy on any of the kinds matches
        kinds = [alert.kind, *(each.kind for each in alert.merged)]
        attributes["kind"] = Attribute("String.Array", json.dumps(kinds))
    if alert.order and alert.order.total_price is not None:
        attributes["total_price"] = Attribute("Number", _number(alert.order.total_price))
    if (late := formatting.late_hours(alert)) is not None:
        attributes["late_hours"] = Attribute("Number", _number(late))
    return attributes


def _subject_strings(alert: Alert) -> dict[str, str | None]:
    if alert.digest:
        currencies = list(alert.digest.value_by_currency)
        return {"status": alert.digest.status, "currency": currencies[0] if len(currencies) == 1 else None}
    if alert.order is None:
        return {}
    order = alert.order
    return {"status": order.status, "previous_status": order.previous_status, "currency": order.currency}


def _number(amount: Decimal) -> str:
    """The nearest number that SNS can compare: five decimals, less than 10^9 (either sign)."""
    bounded = max(-_LARGEST_NUMBER, min(_LARGEST_NUMBER, amount))
    return formatting.quantity(bounded.quantize(_FIVE_DECIMALS, rounding=ROUND_HALF_UP)).replace(",", "")
