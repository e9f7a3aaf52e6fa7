"""`orderwatch restore`: what it takes from the past, what it keeps, and that an interruption loses nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orderwatch_cli.stack import SCHEDULE, TABLE
from orderwatch_cli.triggers import set_schedule
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock, running_on
from tests.support.operated import Operated, moto_client

TO = "2026-11-26T10:00:00Z"
AT = datetime(2026, 11, 26, 10, tzinfo=UTC)
NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
POLLS, SUMMARIES, TICKS = (
    "PollOrdersFunctionPollQueue",
    "SendSummaryFunctionSchedule",
    "DispatchPollsFunctionPollSchedule",
)
DAY = timedelta(days=1)
TABLES = ("OrderTable", "ConnectionTable", "AlertTable")


class PastTables:
    """moto's DynamoDB, which restores the rows that `remember` found instead of today's.

    Attributes:
        restored: The requests to restore a table.
        failing: The table whose next write fails.
        recovery: What DynamoDB says about point-in-time recovery.
        before_write: Called before each write.
        writes: The table of each write, and the triggers that were off.
    """

    def __init__(self, operated: Operated) -> None:
        self._client = moto_client("dynamodb")
        self._operated = operated
        self._past: dict[str, list[Any]] = {}
        self.restored: list[dict[str, Any]] = []
        self.failing = ""
        self.recovery: dict[str, Any] = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "EarliestRestorableDateTime": AT - timedelta(days=35),
            "LatestRestorableDateTime": AT + timedelta(hours=5),
        }
        self.before_write: Callable[[], None] = lambda: None
        self.writes: list[tuple[str, set[str]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def remember(self) -> None:
        self._past = {name: self._operated.rows(name) for name in TABLES}

    def describe_continuous_backups(self, **_: Any) -> dict[str, Any]:
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": self.recovery}}

    def restore_table_to_point_in_time(self, **request: Any) -> None:
        self._client.restore_table_to_point_in_time(**request)
        self.restored.append(request)
        source, target = request["SourceTableName"], request["TargetTableName"]
        key = [each["AttributeName"] for each in self.describe_table(TableName=source)["Table"]["KeySchema"]]
        for row in self._operated.rows(target):
            self.delete_item(TableName=target, Key={name: row[name] for name in key})
        for row in self._past[source]:
            self.put_item(TableName=target, Item=row)

    def transact_write_items(self, **request: Any) -> Any:
        [table] = {action["Put"]["TableName"] for action in request["TransactItems"]}
        self.writes.append((table, paused(self._operated)))
        self.before_write()
        if table == self.failing:
            self.failing = ""
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "TransactWriteItems")
        return self._client.transact_write_items(**request)


def paused(operated: Operated) -> set[str]:
    """The schedules and event source mappings that are off."""
    schedules = {each["Name"] for each in moto_client("scheduler").list_schedules()["Schedules"]}
    off = {name for name in schedules if moto_client("scheduler").get_schedule(Name=name)["State"] == "DISABLED"}
    return off | operated.session.functions.disabled


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """The time of the restore; waiting takes no time."""
    fake = FakeClock(NOW)
    with running_on(fake):
        yield fake


@pytest.fixture
def past(operated: Operated, clock: FakeClock) -> PastTables:
    operated.create(TABLE, SCHEDULE)
    tables = PastTables(operated)
    operated.session.use("dynamodb", tables)
    return tables


def put(table: str, **row: str) -> None:
    moto_client("dynamodb").put_item(TableName=table, Item={name: {"S": value} for name, value in row.items()})


def order(order_id: str, status: str) -> None:
    put("OrderTable", order_key=f"conn_a#{order_id}", status=status)


def connection(connection_id: str, position: str) -> None:
    put("ConnectionTable", connection_id=connection_id, position=position)


def found(operated: Operated, table: str, key: str, value: str) -> dict[str, str]:
    """The rows: an attribute of each by its key."""
    return {row[key]["S"]: row[value]["S"] for row in operated.rows(table)}


def test_lost_and_damaged_rows_are_restored_and_later_ones_stay(operated: Operated, past: PastTables) -> None:
    for order_id in ("same", "damaged", "lost"):
        order(order_id, "open")
    connection("conn_a", "10:00")
    past.remember()
    order("damaged", "garbage")
    order("later", "exception")
    moto_client("dynamodb").delete_item(TableName="OrderTable", Key={"order_key": {"S": "conn_a#lost"}})
    connection("conn_a", "14:00")
    connection("conn_b", "14:00")

    done = operated.json("restore", "--to", TO.replace("Z", ".9Z"), "--yes")

    assert found(operated, "OrderTable", "order_key", "status") == {
        "conn_a#same": "open",
        "conn_a#damaged": "open",
        "conn_a#lost": "open",
        "conn_a#later": "exception",
    }
    assert found(operated, "ConnectionTable", "connection_id", "position") == {"conn_a": "10:00", "conn_b": "14:00"}
    written = {each["table"]: (each["rows"], each["written"]) for each in done["tables"]}
    assert written == {"ConnectionTable": (1, 1), "OrderTable": (3, 2), "AlertTable": (0, 0)}
    assert [request["RestoreDateTime"] for request in past.restored] == [AT] * 3
    assert not [name for name in past.list_tables()["TableNames"] if "restored" in name]


def test_sent_alerts_stay_sent_and_missing_ones_come_back(operated: Operated, past: PastTables) -> None:
    operated.write_alert(alert_of("sent"), ago=2 * DAY)
    operated.write_alert(alert_of("sent since"), ago=DAY, sent=False)
    operated.write_alert(alert_of("lost"), ago=2 * DAY)
    operated.write_alert(alert_of("lost unsent"), ago=DAY, sent=False)
    operated.write_alert(alert_of("expired"), ago=91 * DAY)
    past.remember()
    for row in operated.rows("AlertTable"):
        if row["order_id"]["S"] != "sent":
            key = {name: row[name] for name in ("connection_id", "alert_id")}
            moto_client("dynamodb").delete_item(TableName="AlertTable", Key=key)
    operated.write_alert(alert_of("sent since"), ago=DAY)
    operated.write_alert(alert_of("later"), sent=False)

    done = operated.json("restore", "--to", TO, "--yes")

    assert found(operated, "AlertTable", "order_id", "state") == {
        "sent": "sent",
        "sent since": "sent",
        "lost": "sent",
        "lost unsent": "pending",
        "later": "pending",
    }
    assert done["pending"] == 1


def test_an_alert_that_is_written_meanwhile_stays(operated: Operated, past: PastTables) -> None:
    for order_id in ("lost", "written meanwhile"):
        operated.write_alert(alert_of(order_id), sent=False)
    past.remember()
    for row in operated.rows("AlertTable"):
        key = {name: row[name] for name in ("connection_id", "alert_id")}
        moto_client("dynamodb").delete_item(TableName="AlertTable", Key=key)
    past.before_write = lambda: operated.write_alert(alert_of("written meanwhile"))
    done = operated.json("restore", "--to", TO, "--yes")
    states = {"lost": "pending", "written meanwhile": "sent"}
    assert (found(operated, "AlertTable", "order_id", "state"), done["pending"]) == (states, 1)


def test_polls_and_summaries_are_paused_while_rows_are_written(
    operated: Operated, past: PastTables, clock: FakeClock
) -> None:
    order("o1", "open")
    connection("conn_a", "10:00")
    past.remember()
    order("o1", "garbage")
    connection("conn_a", "14:00")
    ran = operated.run("restore", "--to", TO, "--yes")
    assert ran.code == 0
    # First the cursors: a poll that runs nevertheless can then write no more.
    off = {POLLS, SUMMARIES, TICKS}
    assert past.writes == [("ConnectionTable", off), ("OrderTable", off)]
    assert paused(operated) == set()
    assert max(clock.slept) == 120, "a poll that runs has ended"


def test_an_interrupted_restore_is_continued(operated: Operated, past: PastTables) -> None:
    order("o1", "open")
    connection("conn_a", "10:00")
    past.remember()
    order("o1", "garbage")
    connection("conn_a", "14:00")
    past.failing = "OrderTable"
    ran = operated.run("restore", "--to", TO, "--yes")
    assert (ran.code, paused(operated)) == (1, {POLLS, SUMMARIES, TICKS})
    assert f"continue with: orderwatch restore --to {TO}" in ran.out

    connection("conn_a", "14:30")  # a poll that somebody ran by hand
    assert operated.run("restore", "--to", TO, "--yes").code == 0
    assert len(past.restored) == 3, "the copies of the first run are used"
    assert found(operated, "OrderTable", "order_key", "status") == {"conn_a#o1": "open"}
    assert found(operated, "ConnectionTable", "connection_id", "position") == {"conn_a": "10:00"}
    assert paused(operated) == set()


@pytest.mark.parametrize(("options", "code"), [(["--dry-run"], 0), ([], 1)], ids=["dry run", "not confirmed"])
def test_nothing_changes_without_a_yes(operated: Operated, past: PastTables, options: list[str], code: int) -> None:
    ran = operated.run("restore", "--to", TO, *options)
    assert ran.code == code
    assert "create OrderTable-restored-20261126T100000Z from OrderTable" in ran.out
    assert f"pause {TICKS}, {SUMMARIES}, {POLLS}" in ran.out
    assert (past.restored, past.writes, paused(operated)) == ([], [], set())


@pytest.mark.parametrize(
    ("to", "recovery", "error"),
    [
        ("2026-10-01T10:00Z", {}, "can be restored to a time from 2026-10-22T10:00:00Z to 2026-11-26T15:00:00Z"),
        ("2026-11-26T15:00:01Z", {}, "can be restored to a time from"),
        (TO, {"PointInTimeRecoveryStatus": "DISABLED"}, "ConnectionTable has no point-in-time recovery"),
    ],
    ids=["too early", "too late", "no recovery"],
)
def test_a_time_that_cannot_be_restored_is_one_line(
    operated: Operated, past: PastTables, to: str, recovery: dict[str, Any], error: str
) -> None:
    past.recovery |= recovery
    ran = operated.run("restore", "--to", to, "--yes")
    assert (ran.code, ran.out, past.restored) == (1, "", [])
    assert error in ran.err


def test_a_paused_schedule_keeps_its_other_properties(operated: Operated) -> None:
    operated.create(SCHEDULE)
    scheduler, stack = moto_client("scheduler"), operated.stack
    known = scheduler.get_schedule(Name=SUMMARIES)
    settable = {key: known[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(Name=SUMMARIES, **settable, ScheduleExpressionTimezone="Europe/Berlin", State="ENABLED")
    before = scheduler.get_schedule(Name=SUMMARIES)
    set_schedule(stack, stack.resources[SUMMARIES], is_enabled=False)
    assert scheduler.get_schedule(Name=SUMMARIES)["State"] == "DISABLED"
    set_schedule(stack, stack.resources[SUMMARIES], is_enabled=True)
    after = scheduler.get_schedule(Name=SUMMARIES)
    for answer in (before, after):
        answer.pop("LastModificationDate")
        answer.pop("ResponseMetadata")
    assert after == before
