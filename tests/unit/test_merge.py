"""The alerts of an order that is in exception and late are merged into one message."""

import json
from typing import Any

from moto.sns.utils import FilterPolicyMatcher

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, Severity, severity_of
from orderwatch.alerts.parts import AlertOrder
from orderwatch.publishing.group import Group, group, merge_alerts
from orderwatch.rendering.fallback import plain
from orderwatch.rendering.sns import render
from orderwatch_local.preview.samples import NOW, SHOP
from tests.support.recording_sns import alert_ids_in


def alert(kind: str, order_id: str = "1", *, detail: str | None = None) -> Alert:
    status = kind.removeprefix("order.")
    order = AlertOrder(id=order_id, number=f"#{order_id}", status=status, seen_at=NOW, due_at=NOW)
    return Alert(
        alert_id=f"{kind}-{order_id}",
        kind=kind,
        severity=severity_of(kind),
        connection_id=SHOP.id,
        connection=SHOP,
        order=order,
        detail=detail,
    )


LATE = alert(KIND_LATE, detail="It was to ship by now and is still in exception.")


def messages(*alerts: Alert, threshold: int = 5) -> list[Group]:
    return merge_alerts(group(alerts, threshold=threshold))


def test_exception_and_late_are_merged_into_one_message() -> None:
    exception = alert("order.exception")
    [both] = messages(exception, LATE)
    assert both.members == (exception, LATE)
    assert (both.alert.kind, both.alert.alert_id, both.alert.detail) == (
        exception.kind,
        exception.alert_id,
        LATE.detail,
    )
    assert [each.kind for each in both.alert.merged] == [KIND_LATE]


def test_a_merged_alert_has_the_higher_severity() -> None:
    [both] = messages(alert("order.backordered"), LATE)
    assert both.alert.severity is Severity.CRITICAL
    [milder] = messages(alert("order.exception"), alert(KIND_AT_RISK))
    assert milder.alert.severity is Severity.CRITICAL


def test_every_channel_and_filter_sees_both_kinds() -> None:
    message = render(messages(alert("order.exception"), LATE)[0].alert)
    assert "Order #1 is in exception and late" in message.bodies["email"]
    assert LATE.detail is not None
    assert "still in exception" in message.bodies["email"]
    assert "is in exception and late" in message.bodies["sms"]
    assert "in exception and late" in message.bodies["https"]
    assert alert_ids_in(json.loads(message.bodies["sqs"])) == ["order.exception-1", "order.late-1"]
    for kind in ("order.exception", "order.late"):
        assert _lets_through({"kind": [kind]}, message.attributes)
    assert not _lets_through({"kind": ["order.stuck"]}, message.attributes)


def _lets_through(policy: dict[str, Any], attributes: Any) -> bool:
    given = {name: {"Type": each.type, "Value": each.value} for name, each in attributes.items()}
    return bool(FilterPolicyMatcher(policy, "MessageAttributes").matches(given, ""))


def test_the_fallback_has_both_ids() -> None:
    body = plain(messages(alert("order.exception"), LATE)[0].alert).bodies["sqs"]
    assert alert_ids_in(json.loads(body)) == ["order.exception-1", "order.late-1"]


def test_recovered_and_late_are_not_merged() -> None:
    assert len(messages(alert("order.recovered"), LATE)) == 2


def test_alerts_of_two_orders_are_not_merged() -> None:
    assert len(messages(alert("order.exception", "2"), LATE)) == 2


def test_a_digest_is_not_merged() -> None:
    late = [alert(KIND_LATE, str(number)) for number in range(8)]
    found = messages(alert("order.exception", "3"), *late)
    assert [len(each.members) for each in found] == [1, 8]
    assert render(found[1].alert).subject == "[late] 8 orders at Nordic Outdoor"
    assert "8 orders are late" in render(found[1].alert).bodies["email"]
