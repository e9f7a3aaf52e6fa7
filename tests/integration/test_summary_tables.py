"""A summary of the tables: read by their indexes, written once, and read by the next one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest

from orderwatch import clock
from orderwatch.alerts.summary import Changes
from orderwatch.aws.parameters import Parameters
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.records import StoredOrder
from orderwatch.summary.build import PreparedSummary, summarize
from tests.integration.conftest import OTHER_DYNAMODB
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables, create_tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.summaries import AT, AT_RISK, DAY, HOUR, blocked, healthy, late_for, request, row, shop


@pytest.fixture(params=["memory", "moto", *(["endpoint"] if OTHER_DYNAMODB else [])])
def tables(request: pytest.FixtureRequest, aws: None) -> Iterator[Tables]:
    if request.param == "memory":
        client = MemoryDynamoDB().as_client()
    else:
        client = boto3.client("dynamodb", endpoint_url=OTHER_DYNAMODB if request.param == "endpoint" else None)
    fake_clock = FakeClock()
    fake_clock.seconds = (AT - NOON).total_seconds()
    clock.use(fake_clock)
    yield from create_tables(client)
    clock.use(None)


def put(tables: Tables, connection_id: str, rows: dict[str, StoredOrder]) -> None:
    known = tables.store.stored_orders(connection_id, rows.keys())
    writes = [
        OrderWrite(key, known.get(key), stored, alert=None, reason=Reason.STATUS_CHANGED)
        for key, stored in rows.items()
    ]
    state = tables.store.load(connection_id)
    fresh = (blocked if connection_id == "gone" else healthy)(connection_id)
    lost = tables.store.commit(replace(fresh, revision=state.revision), writes=writes, alerts=())
    assert lost == []


def made(tables: Tables, *names: str, days: int = 0) -> PreparedSummary:
    at = clock.now() + days * DAY
    return summarize(
        [shop(name) for name in names],
        store=tables.summaries,
        products=None,
        request=request(at=at),
    )


def test_only_the_backlog_and_orders_at_risk_are_read(tables: Tables) -> None:
    put(
        tables,
        "a",
        {
            "exception": row(),
            "late": row("open", deadline_state=late_for(HOUR)),
            "risk": row("open", needs_attention=False, deadline_state=AT_RISK),
            "shipped": row("fulfilled", needs_attention=False),
        },
    )
    assert tables.summaries.due("a", AT + HOUR).keys() == {"risk"}, "its deadline is then"
    assert tables.summaries.due("a", AT + HOUR - timedelta(seconds=1)) == {}
    put(tables, "b", {"other": row("backordered")})
    put(tables, "gone", {})
    daily = made(tables, "a", "b", "gone", "never-read").alert.summary
    assert daily
    listed = {each.connection_id: {order.id for order in each.orders} for each in daily.shops}
    assert listed == {"a": {"exception", "late", "risk"}, "b": {"other"}, "gone": set(), "never-read": set()}
    assert {each.connection_id: each.not_visible.state for each in daily.shops if each.not_visible} == {
        "gone": "blocked",
        "never-read": "initial_sync",
    }


def test_a_summary_is_written_once_and_compared_the_next_day(tables: Tables) -> None:
    put(tables, "a", {"1": row(), "2": row()})
    first = made(tables, "a")
    assert tables.summaries.put(first)
    assert not tables.summaries.put(made(tables, "a"))
    assert len(tables.rows("AlertTable")) == 1
    assert tables.alerts.unsent([first.alert.key]) == [first.alert], "the stored snapshot is not part of the message"
    [previous] = tables.summaries.previous_summaries(clock.now() - timedelta(days=1))
    assert (previous.summary, previous.snapshot) == (first.alert.summary, {"a": {"1": AT - HOUR, "2": AT - HOUR}})
    assert tables.summaries.previous_summaries(clock.now() + timedelta(seconds=1)) == []

    put(tables, "a", {"1": row("fulfilled", since=-HOUR, needs_attention=False), "3": row()})
    changes = (made(tables, "a", days=1).alert.summary or pytest.fail("no figures")).changes
    assert changes == Changes(since=AT, previous=2, new=1, cleared=1, median_hours_to_clear=None)


def test_shops_are_listed_with_names_and_settings(aws: None) -> None:
    ssm = boto3.client("ssm")
    values = {"a/access-token": "secret", "a/name": "Nordic", "a/settings": '{"late_warning_hours": 48}'}
    for name, value in {**values, "b/access-token": "secret", "b/settings": "no JSON", "c/name": "no token"}.items():
        kind = "SecureString" if name.endswith("token") else "String"
        ssm.put_parameter(Name=f"/orderwatch/connections/{name}", Value=value, Type=kind)  # type: ignore[arg-type]
    found = Parameters(ssm, "/orderwatch").connections()
    listed = [(each.connection_id, each.name, each.settings.late_warning_hours) for each in found]
    assert listed == [("a", "Nordic", 48), ("b", None, None)]
