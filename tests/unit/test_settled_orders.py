"""An order whose row needs no other evaluation is not evaluated again, and that is the same decision."""

from collections.abc import Sequence
from copy import replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.deadlines.rules import DeadlineRules, Suppression
from orderwatch.ownership import Ownership
from orderwatch.polling.detect import Observation, OrderWrite, Reason, detect, is_settled
from orderwatch.polling.restock_alert import Restock
from orderwatch.reading.policy import Policy
from orderwatch.records import OlderCopy, StoredOrder
from orderwatch.trackstar.orders import Order, Version, VersionClock
from tests.support import alerts
from tests.support.clocks import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(ZoneInfo("UTC"))
POLICY = Policy(frozenset({"exception", "cancelled"}), deadlines=RULES)
OBSERVED = replace(alerts.OBSERVED, suppression=Suppression(NOON, is_recording=False))


def seen(status: str = "open", *, minute: int = 0, **fields: Any) -> Order:
    return Order.of({"id": "1", "status": status, "trackstar_updated_date": NOON + minute * MINUTE, **fields})


SHIP_BY = NOON + 3 * DAY
ORDER = seen(latest_ship_date=SHIP_BY)


def row_after(order: Order, row: StoredOrder | None, observation: Observation, policy: Policy) -> StoredOrder | None:
    found = detect(order, row, observation=observation, policy=policy)
    return found.stored if isinstance(found, OrderWrite) else row


ROW = row_after(ORDER, None, OBSERVED, POLICY)


def test_an_unchanged_order_is_settled() -> None:
    assert ROW
    assert is_settled(ORDER, ROW, observation=OBSERVED, policy=POLICY)
    assert detect(ORDER, ROW, observation=OBSERVED, policy=POLICY) is Reason.UNCHANGED


@pytest.mark.parametrize(
    ("order", "row", "observation", "policy"),
    [
        (seen(latest_ship_date=SHIP_BY + DAY), {}, {}, {}),
        (seen("processing", latest_ship_date=SHIP_BY), {}, {}, {}),
        (seen(raw_status="on hold", latest_ship_date=SHIP_BY), {}, {}, {}),
        (seen(minute=1, latest_ship_date=SHIP_BY), {}, {}, {}),
        (seen(minute=-1, latest_ship_date=SHIP_BY), {}, {}, {}),
        (ORDER, {"version": Version(NOON, VersionClock.SHOP)}, {}, {}),
        (
            seen(latest_ship_date=SHIP_BY, trackstar_updated_date=None, updated_date=NOON + MINUTE),
            {"version": Version(NOON, VersionClock.SHOP)},
            {},
            {},
        ),
        (ORDER, {"deadline_rules": "of other rules"}, {}, {}),
        (ORDER, {"deadline_rules": None}, {}, {}),
        (ORDER, {"needs_attention": True}, {}, {}),
        (ORDER, {"older_copy": OlderCopy("exception", 1, NOON)}, {}, {}),
        (ORDER, {}, {"watermark": NOON}, {}),
        (ORDER, {}, {"restock": Restock(NOON, {}, {})}, {}),
        (ORDER, {}, {}, {"statuses": {"open"}}),
        (ORDER, {}, {}, {"deadlines": replace(RULES, late_warning_hours=1)}),
        (ORDER, {}, {}, {"deadlines": None}),
        (ORDER, {"deadline_rules": None}, {}, {"deadlines": None}),
    ],
)
def test_an_order_is_evaluated_again_if_anything_else_changed(
    order: Order, row: dict[str, Any], observation: dict[str, Any], policy: dict[str, Any]
) -> None:
    assert ROW
    observed = replace(OBSERVED, **observation)
    assert not is_settled(order, replace(ROW, **row), observation=observed, policy=replace(POLICY, **policy))


@pytest.mark.parametrize("dated", [{"updated_date": NOON}, {}], ids=["by the shop", "not at all"])
def test_an_unchanged_order_without_a_date_of_trackstar_is_settled(dated: dict[str, Any]) -> None:
    order = seen(latest_ship_date=SHIP_BY, trackstar_updated_date=None, **dated)
    row = row_after(order, None, OBSERVED, POLICY)
    assert row
    assert is_settled(order, row, observation=OBSERVED, policy=POLICY)


def test_an_order_that_was_gone_gets_its_deadline_back() -> None:
    assert ROW
    back = row_after(ORDER, ROW.without_attention(), OBSERVED, POLICY)
    assert back == ROW


class Step(NamedTuple):
    """What happens to the row of one order: it is seen, and before that it may be gone, taken or snoozed."""

    order: Order
    observation: Observation
    policy: Policy
    before: str

    def prepared(self, row: StoredOrder | None) -> StoredOrder | None:
        if row and self.before == "gone":
            return row.without_attention()
        if row and row.needs_attention and self.before:
            snoozed_until = NOON + 2 * HOUR if self.before == "snoozed" else None
            return row.with_ownership(Ownership("Ana", NOON, snoozed_until), self.policy.deadlines, at=NOON)
        return row

    def decision(self, row: StoredOrder | None) -> OrderWrite | Reason:
        return detect(self.order, row, observation=self.observation, policy=self.policy)


_order = partial(
    st.builds,
    seen,
    st.sampled_from(["open", "open", "processing", "exception", "fulfilled", "other", "cancelled"]),
    raw_status=st.sampled_from([None, None, "on hold"]),
    latest_ship_date=st.sampled_from([None, SHIP_BY, SHIP_BY, NOON, NOON - DAY]),
)
orders = _order(minute=st.sampled_from([0, 0, 0, 1, -1])) | _order(
    trackstar_updated_date=st.none(), updated_date=st.sampled_from([None, NOON, NOON, NOON + MINUTE, NOON + 9 * DAY])
)
moments = st.sampled_from([None, None, NOON, NOON + 2 * DAY, NOON + 4 * DAY])
suppressions = st.none() | st.builds(Suppression, st.sampled_from([NOON, NOON + 4 * DAY]), st.booleans())
observations = st.builds(
    replace,
    st.just(OBSERVED),
    watermark=moments,
    suppression=suppressions,
    reading=st.sampled_from([NOON, NOON + MINUTE, NOON + HOUR]),
)
rules = st.builds(
    replace,
    st.just(RULES),
    late_warning_hours=st.sampled_from([24, 24, 0]),
    stuck_days=st.sampled_from([0, 0, 1]),
    reminder_hours=st.sampled_from([0, 4]),
    max_reminders=st.sampled_from([1, 3]),
)
policies = st.builds(
    Policy, st.sampled_from([POLICY.statuses, frozenset({"open"})]), deadlines=st.none() | rules | st.just(RULES)
)
steps = st.builds(Step, orders, observations, policies, st.sampled_from(["", "", "", "gone", "taken", "snoozed"]))


@given(st.lists(steps, min_size=1, max_size=4), observations, policies)
def test_a_settled_order_would_be_left_as_it_is(
    history: Sequence[Step], observation: Observation, policy: Policy
) -> None:
    row: StoredOrder | None = None
    again = Step(history[-1].order, observation, policy, before="")
    for step in [*history, again, again]:
        row = step.prepared(row)
        found = step.decision(row)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("orderwatch.polling.detect.is_settled", lambda *_, **__: False)
            assert step.decision(row) == found
        row = found.stored if isinstance(found, OrderWrite) else row
