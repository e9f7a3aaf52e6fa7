"""Which rows keep an extract: those that a summary lists, and no others."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import DeadlineRules, Suppression
from orderwatch.polling.detect import Observation, OrderWrite, detect
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import Extract
from orderwatch.trackstar.orders import Order
from tests.support.alerts import SEEN_AT

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = Policy(statuses={"exception", "cancelled", "other"}, deadlines=DeadlineRules(ZoneInfo("UTC")))
OBSERVATION = Observation(
    connection=AlertConnection(id="conn_a"),
    observed_at=SEEN_AT,
    window=WindowKind.BASELINE,
    watch_started_at=None,
    data_as_of=None,
    suppression=Suppression(SEEN_AT, is_recording=True),
)


@pytest.mark.parametrize(
    ("status", "ships_in", "is_kept", "why"),
    [
        ("processing", 2 * DAY, False, "it needs no attention, like most orders"),
        ("processing", None, False, "it has no ship-by"),
        ("processing", 6 * HOUR, True, "it is at risk"),
        ("processing", -HOUR, True, "it is late"),
        ("exception", 2 * DAY, True, "it is in a watched status"),
        ("other", None, True, "it is in a watched status, though not an open one"),
        ("fulfilled", -HOUR, False, "nothing is left to do"),
        ("cancelled", -HOUR, False, "its status is final, so it needs no attention"),
    ],
)
def test_a_row_keeps_its_extract_while_a_summary_needs_it(
    status: str, ships_in: timedelta | None, *, is_kept: bool, why: str
) -> None:
    ship_by = SEEN_AT + ships_in if ships_in else None
    record = {"id": "1", "status": status, "trackstar_updated_date": SEEN_AT, "latest_ship_date": ship_by}
    order = Order.of(record | {"total_price": 5, "invoice_currency_code": "EUR"})
    write = detect(order, None, observation=OBSERVATION, policy=POLICY)
    assert isinstance(write, OrderWrite)
    assert (write.stored.extract is not None) is is_kept, why
    if write.stored.extract:
        assert Extract.from_json(write.stored.extract).currency == "EUR"
