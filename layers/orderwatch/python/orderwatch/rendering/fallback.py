"""The fallback (rule 11): a plain message for an alert that could not be rendered.

It shares no text with the other renderers. It uses two parts of other code, the alert's JSON and the attributes, and
replaces them by smaller ones if they fail or do not fit.
"""

import json
import re
from collections.abc import Mapping

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_REMINDER, KIND_RESTOCKED, KIND_STUCK
from orderwatch.rendering.sns import Attribute, SnsMessage, attributes_of, for_programs, render
from orderwatch.sanitize import one_line

MAX_COPY_BYTES = 40_000
"""Maximum size of one copy of the JSON: three copies stay within 256 KB even if every character is escaped."""
_CONDITIONS = {
    KIND_LATE: "late",
    KIND_AT_RISK: "at risk",
    KIND_STUCK: "stuck",
    KIND_RESTOCKED: "in stock",
    KIND_REMINDER: "reminder",
}
_MAX_TEXT = 200
_MAX_LINK = 2048
_MAX_DETAIL = 2000


def plain(alert: Alert) -> SnsMessage:
    """Kind, shop, order number, statuses, link and id of the alert, in every protocol."""
    facts = {name: value for name, value in _facts(alert).items() if value}
    fact = _fact(alert)
    lines = [f"{name}: {value}" for name, value in facts.items()]
    text = "\n".join([fact, "", *lines, "", "This alert could not be shown in full.", ""])
    bodies = {"default": text, "email": text, "sms": _ascii(fact, 140), "https": _notification(fact, facts)}
    subject = f"[{_ascii(facts['Kind'], 30)}] {_ascii(fact, 60)}"
    return SnsMessage(subject, bodies | for_programs(_json(alert, facts)), _attributes(alert, facts))


def _fact(alert: Alert) -> str:
    if alert.summary:
        total, hidden = alert.summary.total, alert.summary.shops_not_visible
        return f"{total.needs_attention} orders need attention, {total.late} late; shops not visible: {hidden}"
    if alert.order:
        return f"Order {_one_line(alert.order.number, 40)}: {_condition(alert.kind, alert.order.status)}"
    if alert.digest:
        return f"{alert.digest.count} orders: {_condition(alert.digest.of_kind, alert.digest.status)}"
    return f"Shop {_one_line(alert.connection_id, 40)}: {_one_line(alert.kind, 40)}"


def _condition(kind: str, status: str) -> str:
    return _one_line(_CONDITIONS.get(kind, status).replace("_", " "), 40)


def _facts(alert: Alert) -> dict[str, str]:
    order = alert.order
    of_order = (
        {
            "Order": _one_line(order.number, _MAX_TEXT),
            "Status": _one_line(order.status, _MAX_TEXT),
            "Before": _one_line(order.previous_status, _MAX_TEXT),
            "Link": _one_line(order.url, _MAX_LINK),
        }
        if order
        else {}
    )
    return {
        "Kind": _one_line(alert.kind, _MAX_TEXT) or "alert",
        "Severity": str(alert.severity),
        "Shop": _one_line(alert.connection_id, _MAX_TEXT),
        **of_order,
        "Detail": _one_line(alert.detail, _MAX_DETAIL),
        "Alert": _one_line(alert.alert_id, _MAX_TEXT),
    }


def _one_line(value: str | None, limit: int) -> str:
    return one_line(value or "", limit)


def _ascii(line: str, limit: int) -> str:
    return line.encode("ascii", "replace").decode("ascii")[:limit]


def _notification(fact: str, facts: Mapping[str, str]) -> str:
    shown = {name: _entities(value) if name == "Link" else _without_markup(value) for name, value in facts.items()}
    lines = [f"{name}: {value}" for name, value in shown.items() if len(value) <= _MAX_LINK]
    content = {"textType": "client-markdown", "title": _without_markup(fact), "description": "\n".join(lines)}
    notification = {"version": "1.0", "source": "custom", "id": facts.get("Alert", ""), "content": content}
    return json.dumps(notification, ensure_ascii=False)


def _without_markup(text: str) -> str:
    """The text with an invisible character around every character that could be markup."""
    return _entities(re.sub(r"[*_~`:]", "\u034f\\g<0>\u034f", text[:100]))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(alert: Alert, facts: Mapping[str, str]) -> str:
    for candidate in (alert, _without_lists(alert)):
        dumped = _dump(candidate)
        if dumped and len(dumped) <= MAX_COPY_BYTES:
            return dumped
    names = {"kind": "Kind", "severity": "Severity", "connection_id": "Shop", "alert_id": "Alert"}
    return json.dumps({"schema": alert.schema_} | {name: facts.get(label, "") for name, label in names.items()})


def _dump(alert: Alert) -> str | None:
    try:
        return json.dumps(alert.model_dump(mode="json"), separators=(",", ":"))
    except Exception:  # noqa: BLE001 - the alert must be sent whatever fails (rule 11)
        return None


def _without_lists(alert: Alert) -> Alert:
    """The alert without its lists; the numbers of entries left out stay exact."""
    return alert.replace(
        order=alert.order.keeping(0) if alert.order else None,
        digest=alert.digest.without_lists() if alert.digest else None,
        backlog=alert.backlog.keeping(0) if alert.backlog else None,
        summary=alert.summary.shortened(0) if alert.summary else None,
    )


def _attributes(alert: Alert, facts: Mapping[str, str]) -> dict[str, Attribute]:
    try:
        return attributes_of(alert)
    except Exception:  # noqa: BLE001 - the alert must be sent whatever fails (rule 11)
        names = {"kind": "Kind", "severity": "Severity", "connection_id": "Shop", "status": "Status"}
        return {name: Attribute("String", facts[label]) for name, label in names.items() if label in facts}


def render_or_plain(alert: Alert, *, action_url: str | None = None) -> tuple[SnsMessage, Exception | None]:
    """The full message, or the plain one with the error that prevented the full one (rule 11)."""
    try:
        return render(alert, action_url=action_url), None
    except Exception as error:  # noqa: BLE001 - a bug in a renderer must not lose an alert
        return plain(alert), error
