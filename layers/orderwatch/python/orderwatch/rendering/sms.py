"""The text message (SMS): one part in plain ASCII that always contains the order number.

If it is too long, the value and the shop are left out first, because the link shows them too. The order number, the
link, the reason and the urgency stay.
"""

import re
from collections.abc import Iterator

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import DEADLINE_KINDS, KIND_RECOVERED, KIND_REMINDER, KIND_RESTOCKED, Severity
from orderwatch.alerts.parts import AlertOrder
from orderwatch.rendering import content, formatting, lists, next_steps, shipping

MAX_CHARACTERS = 140
_MAX_NUMBER = 40
_MAX_SHOP = 30
_MAX_STATUS = 30
_MAX_REASON = 60
_MIN_REASON = 20
"""Minimum characters of a reason that is cut; a shorter piece is useless."""
_COMMAND = re.compile(r",(?: then)? run: .*")
"""A command in a reason: whole or not at all."""


def body(alert: Alert) -> str:
    """The most complete message that fits."""
    fitting = (each for each in _candidates(alert) if len(each) <= MAX_CHARACTERS)
    return next(fitting, None) or formatting.clip(_message(alert, "", ""), MAX_CHARACTERS)


def _candidates(alert: Alert) -> Iterator[str]:
    """Messages from the most complete to the shortest: all of them with the link, then all without it."""
    reason, link = _reason(alert), formatting.link(content.url(alert))
    for address in dict.fromkeys([link if link and link.isascii() else "", ""]):
        for with_shop, with_value in ((True, True), (True, False), (False, False)):
            yield _message(alert, reason, address, with_shop=with_shop, with_value=with_value)
        if (without_command := _COMMAND.sub(".", reason)) != reason:
            yield _message(alert, without_command, address)
        room = MAX_CHARACTERS - len(_message(alert, "", address)) - len(": ")
        if reason and room >= _MIN_REASON:
            yield _message(alert, formatting.clip(reason, room), address)
        yield _message(alert, "", address)
        if alert.order and address:
            yield f"Order {_number(alert.order)} {address}"


def _message(alert: Alert, reason: str, address: str, *, with_shop: bool = False, with_value: bool = False) -> str:
    shop = formatting.clip(formatting.shop_name_in_ascii(alert.connection), _MAX_SHOP)
    place = f" at {shop}" if with_shop and not content.is_connection_alert(alert) else ""
    value = formatting.ascii_fold(content.value(alert) or "", fallback="") if with_value else ""
    parts = ", ".join([f"{_what(alert)}{place}", *filter(None, [content.warning(alert), value])])
    stop = ". " if content.is_connection_alert(alert) else ": "
    return f"{parts}{f'{stop}{reason}' if reason else ''}{f' {address}' if address else ''}"


def _what(alert: Alert) -> str:
    order = alert.order
    if order is None:
        return formatting.ascii_fold(content.headline(alert))
    if alert.kind == KIND_RECOVERED:
        return f"Order {_number(order)} recovered"
    if alert.kind == KIND_RESTOCKED:
        return f"Backordered order {_number(order)} {content.can_ship(alert, order)}"
    if alert.kind == KIND_REMINDER:
        return f"Order {_number(order)} still needs attention"
    merged = [f" and {content.condition(each.kind, order.status)}" for each in alert.merged]
    condition = formatting.clip(formatting.ascii_fold(content.condition(alert.kind, order.status)), _MAX_STATUS)
    return f"Order {_number(order)} is {condition}{''.join(merged)}"


def _number(order: AlertOrder) -> str:
    return formatting.order_number_in_ascii(order, limit=_MAX_NUMBER)


def _reason(alert: Alert) -> str:
    """The reason and its explanation; for a digest its reasons, for an alert about a connection the next step."""
    order = alert.order
    if alert.digest:
        text = lists.digest_reasons(alert)
    elif alert.backlog:
        counts = [f"{count:,} {formatting.status_phrase(each)}" for each, count in alert.backlog.by_status.items()]
        text = f"Needs attention now: {', '.join(counts)}"
    elif order is None:
        text = content.detail(alert) if alert.severity is Severity.INFO else next_steps.next_step(alert)
    elif alert.kind == KIND_RECOVERED:
        text = f"now {formatting.status_phrase(order.status)}"
    elif alert.kind == KIND_RESTOCKED:
        text = None
    elif alert.kind in {*DEADLINE_KINDS, KIND_REMINDER}:
        text = ", ".join(filter(None, [content.decision(alert).reason, shipping.still_to_ship_count(order)]))
    else:
        reason = formatting.reason(order.raw_status, order.status)
        text = ", ".join(filter(None, [reason, content.explanation(alert)]))
    return formatting.clip(formatting.ascii_fold(text or "", fallback=""), _MAX_REASON if order else MAX_CHARACTERS)
