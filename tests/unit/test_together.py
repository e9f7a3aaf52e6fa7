"""An order that is in exception and late at once is one message; everything else stays as it was."""

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
from tests.support.recording_sns import alerted_ids


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


def test_an_order_that_is_in_exception_and_late_is_one_message_of_two_alerts() -> None:
    exception = alert("order.exception")
    [both] = messages(exception, LATE)
    assert both.members == (exception, LATE)
    assert (both.alert.kind, both.alert.alert_id, both.alert.detail) == (
        exception.kind,
        exception.alert_id,
        LATE.detail,
    )
    assert [each.kind for each in both.alert.merged] == [KIND_LATE]


def test_it_is_as_severe_as_the_worse_of_the_two() -> None:
    [both] = messages(alert("order.backordered"), LATE)
    assert both.alert.severity is Severity.CRITICAL
    [milder] = messages(alert("order.exception"), alert(KIND_AT_RISK))
    assert milder.alert.severity is Severity.CRITICAL


def test_both_are_said_in_every_channel_and_a_filter_on_either_lets_it_through() -> None:
    message = render(messages(alert("order.exception"), LATE)[0].alert)
    assert "Order #1 is in exception and late" in message.bodies["email"]
    assert LATE.detail is not None
    assert "still in exception" in message.bodies["email"]
    assert "is in exception and late" in message.bodies["sms"]
    assert "in exception and late" in message.bodies["https"]
    assert alerted_ids(json.loads(message.bodies["sqs"])) == ["order.exception-1", "order.late-1"]
    for kind in ("order.exception", "order.late"):
        assert _lets_through({"kind": [kind]}, message.attributes)
    assert not _lets_through({"kind": ["order.stuck"]}, message.attributes)


def _lets_through(policy: dict[str, Any], attributes: Any) -> bool:
    given = {name: {"Type": each.type, "Value": each.value} for name, each in attributes.items()}
    return bool(FilterPolicyMatcher(policy, "MessageAttributes").matches(given, ""))


def test_the_fallback_tells_both_ids_too() -> None:
    body = plain(messages(alert("order.exception"), LATE)[0].alert).bodies["sqs"]
    assert alerted_ids(json.loads(body)) == ["order.exception-1", "order.late-1"]


def test_what_recovered_and_is_late_is_two_messages() -> None:
    assert len(messages(alert("order.recovered"), LATE)) == 2


def test_alerts_of_two_orders_stay_apart() -> None:
    assert len(messages(alert("order.exception", "2"), LATE)) == 2


def test_digests_stay_whole() -> None:
    late = [alert(KIND_LATE, str(number)) for number in range(8)]
    found = messages(alert("order.exception", "3"), *late)
    assert [len(each.members) for each in found] == [1, 8]
    assert render(found[1].alert).subject == "[late] 8 orders at Nordic Outdoor"
    assert "8 orders are late" in render(found[1].alert).bodies["email"]
