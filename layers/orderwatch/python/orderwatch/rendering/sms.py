"""The text message: one part, plain ASCII, the order's number always in it.

What decides stays longest: the number, the link, the reason, how urgent it is. The value and the shop, which the link
shows too, make room first.
"""

from collections.abc import Iterator

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import DEADLINE_KINDS, KIND_RECOVERED, Severity
from orderwatch.alerts.parts import AlertOrder
from orderwatch.rendering import content, formatting, lists, next_steps

MAX_CHARACTERS = 140
_MAX_NUMBER = 40
_MAX_SHOP = 30
_MAX_STATUS = 30
_MAX_REASON = 60
_MIN_REASON = 12
"""Below this many characters a piece of a reason tells nothing."""


def body(alert: Alert) -> str:
    """The fullest message that fits."""
    return next((each for each in _candidates(alert) if len(each) <= MAX_CHARACTERS), "") or _cut(alert)


def _candidates(alert: Alert) -> Iterator[str]:
    """From the fullest to the barest; with the link as long as that leaves any, then without."""
    why, link = _reason(alert), _link(alert)
    for address in dict.fromkeys([link, ""]):
        for with_shop, with_value in ((True, True), (True, False), (False, False)):
            yield _message(alert, why, address, with_shop=with_shop, with_value=with_value)
        room = MAX_CHARACTERS - len(_message(alert, "", address)) - len(": ")
        if why and room >= _MIN_REASON:
            yield _message(alert, formatting.clip(why, room), address)
        yield _message(alert, "", address)
        if alert.order and address:
            yield f"Order {_number(alert.order)} {address}"


def _message(alert: Alert, why: str, address: str, *, with_shop: bool = False, with_value: bool = False) -> str:
    place = f" at {_shop(alert)}" if with_shop and not content.is_connection_alert(alert) else ""
    worth = formatting.ascii_fold(content.value(alert) or "", fallback="") if with_value else ""
    pressing = content.warning(alert) or ""
    said = ", ".join([f"{_what(alert)}{place}", *filter(None, [pressing, worth])])
    stop = ". " if content.is_connection_alert(alert) else ": "
    return f"{said}{f'{stop}{why}' if why else ''}{f' {address}' if address else ''}"


def _cut(alert: Alert) -> str:
    return formatting.clip(_message(alert, "", ""), MAX_CHARACTERS)


def _shop(alert: Alert) -> str:
    name = formatting.ascii_fold(content.shop(alert.connection), fallback=formatting.ascii_fold(alert.connection.id))
    return formatting.clip(name, _MAX_SHOP)


def _what(alert: Alert) -> str:
    order = alert.order
    if order is None:
        return formatting.ascii_fold(content.headline(alert))
    if alert.kind == KIND_RECOVERED:
        return f"Order {_number(order)} recovered"
    also = [f" and {content.condition(each.kind, order.status)}" for each in alert.merged]
    condition = formatting.clip(formatting.ascii_fold(content.condition(alert.kind, order.status)), _MAX_STATUS)
    return f"Order {_number(order)} is {condition}{''.join(also)}"


def _number(order: AlertOrder) -> str:
    return content.number_in_ascii(order, limit=_MAX_NUMBER)


def _link(alert: Alert) -> str:
    address = formatting.link(content.url(alert))
    return address if address and address.isascii() else ""


def _reason(alert: Alert) -> str:
    """Why: the shop's reason and what explains it; of a digest its reasons; of trouble what to do about it."""
    order = alert.order
    if alert.digest:
        said = lists.digest_reasons(alert)
    elif alert.waiting:
        counts = [f"{count:,} {content.status_phrase(each)}" for each, count in alert.waiting.by_status.items()]
        said = f"Waiting already: {', '.join(counts)}"
    elif order is None:
        said = content.detail(alert) if alert.severity is Severity.INFO else next_steps.next_step(alert)
    elif alert.kind == KIND_RECOVERED:
        said = f"now {content.status_phrase(order.status)}"
    elif alert.kind in DEADLINE_KINDS:
        said = content.decision(alert).why
    else:
        said = ", ".join(filter(None, [content.reason(order), content.explanation(alert)]))
    return formatting.clip(formatting.ascii_fold(said or "", fallback=""), _MAX_REASON if order else MAX_CHARACTERS)
