"""One SNS publish: a subject, a text for each protocol, attributes for filter policies; never more than SNS takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import amazon_q, email, formatting, machine, sms

MAX_BYTES = 262_144
"""SNS: 256 KB, the attributes included."""
MAX_ATTRIBUTE = 256
MACHINE_PROTOCOLS = ("sqs", "lambda", "firehose")

_LARGEST_NUMBER = Decimal(999_999_999)
_FIVE_DECIMALS = Decimal("0.00001")
_RESERVE = 1024


class Attribute(NamedTuple):
    """A message attribute as SNS takes it."""

    type: Literal["String", "String.Array", "Number"]
    value: str


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """What is published.

    Attributes:
        subject: Of e-mails: printable ASCII of fewer than 100 characters.
        bodies: The text for each protocol; `default` is always among them.
        attributes: By name; none is empty.
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
        """Bytes that count against `MAX_BYTES`: the message and the attributes (the subject too, to be safe)."""
        parts = [self.message, self.subject, *self.attributes]
        parts += [part for attribute in self.attributes.values() for part in attribute]
        return sum(len(part.encode()) for part in parts)


def render(alert: Alert) -> SnsMessage:
    """The alert in every protocol's shape, within the limits of each and of SNS.

    Texts end in an exact "+N more" where they are cut; the machines' JSON, of which the message holds
    three copies, gets what room the others leave.

    Raises:
        ValueError: If it cannot be made small enough; `plain` can.
    """
    people = email.body(alert)
    bodies = {"default": people, "email": people, "sms": sms.body(alert), "https": amazon_q.body(alert)}
    subject, attributes = email.subject(alert), attributes_of(alert)
    room = MAX_BYTES - _RESERVE - SnsMessage(subject, bodies, attributes).size
    for limit in _machine_limits(room // len(MACHINE_PROTOCOLS)):
        message = SnsMessage(subject, bodies | with_machine(machine.body(alert, limit=limit)), attributes)
        if message.size <= MAX_BYTES:
            return message
    raise ValueError(f"alert {alert.alert_id} does not fit an SNS message")


def _machine_limits(room: int) -> tuple[int, ...]:
    """What one copy may take: the whole room, or less, as quotes and backslashes grow when a copy is quoted."""
    most = min(machine.MAX_BYTES, room)
    return (most, most * 4 // 5, most // 2, most // 4)


def with_machine(body: str) -> dict[str, str]:
    """The bodies of the protocols that programs subscribe with."""
    return dict.fromkeys(MACHINE_PROTOCOLS, body)


def attributes_of(alert: Alert) -> dict[str, Attribute]:
    """The attributes for filter policies; those that are not known are left out (SNS refuses empty ones)."""
    strings = {"kind": alert.kind, "severity": str(alert.severity), "connection_id": alert.connection_id}
    strings |= {"urgency": str(formatting.urgency(alert))}
    strings |= {name: value for name, value in _subject_strings(alert).items() if value}
    cut = {name: formatting.clip(formatting.clean(value), MAX_ATTRIBUTE) for name, value in strings.items()}
    attributes = {name: Attribute("String", value) for name, value in cut.items() if value}
    if alert.merged:  # a filter on any of the kinds lets it through
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
    """Within what SNS compares: five decimals, less than a thousand million; beyond, the nearest that it compares."""
    bounded = max(-_LARGEST_NUMBER, min(_LARGEST_NUMBER, amount))
    return formatting.quantity(bounded.quantize(_FIVE_DECIMALS, rounding=ROUND_HALF_UP)).replace(",", "")
