"""The text message: one part, plain ASCII, the order's number always in it."""

from orderwatch.alerts import KIND_RECOVERED, Alert
from orderwatch.publishing.messages import text, wording

MAX_CHARACTERS = 140
_MAX_NUMBER = 40
_MAX_SHOP = 30
_MAX_STATUS = 30


def body(alert: Alert) -> str:
    """The fact, the shop, the value and, as far as they fit, the reason and the link."""
    message = text.clip(_fact(alert), MAX_CHARACTERS)
    for addition in _additions(alert):
        if len(message) + len(addition) <= MAX_CHARACTERS:
            message += addition
    return message


def _fact(alert: Alert) -> str:
    if wording.is_connection_alert(alert):
        return text.ascii_fold(wording.headline(alert))
    shop = text.ascii_fold(wording.shop(alert.connection), fallback=text.ascii_fold(alert.connection.id))
    return f"{_what(alert)} at {text.clip(shop, _MAX_SHOP)}"


def _what(alert: Alert) -> str:
    if alert.order is None:
        return text.ascii_fold(wording.headline(alert))
    number = wording.number_in_ascii(alert.order, limit=_MAX_NUMBER)
    if alert.kind == KIND_RECOVERED:
        return f"Order {number} recovered"
    condition = text.clip(text.ascii_fold(wording.condition(alert.kind, alert.order.status)), _MAX_STATUS)
    also = [f" and {wording.condition(each.kind, alert.order.status)}" for each in alert.also]
    return f"Order {number} is {condition}{''.join(also)}"


def _additions(alert: Alert) -> list[str]:
    worth = text.ascii_fold(wording.value(alert) or "", fallback="")
    address = text.link(alert.order.url) if alert.order else None
    parts = [f", {worth}" if worth else "", _explanation(alert)]
    return [*parts, f" {address}" if address and address.isascii() else ""]


def _explanation(alert: Alert) -> str:
    if alert.order and alert.kind == KIND_RECOVERED:
        return f": now {text.ascii_fold(wording.status_phrase(alert.order.status))}"
    why = wording.reason(alert.order) if alert.order and not alert.detail else wording.detail(alert)
    folded = text.ascii_fold(why or "", fallback="")
    return f"{':' if alert.order else '.'} {folded}" if folded else ""
