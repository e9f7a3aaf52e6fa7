"""publish_alerts behind its stream, with the retry settings of the template, and redrive_alerts after it.

The local cloud ignores partial failures, retry limits and on-failure destinations of stream mappings. So a poller here
does what AWS documents ("Configuring partial batch response with DynamoDB and Lambda", "Retain discarded records"): a
failed batch is halved, one that names failures continues from the lowest of them, attempts are bounded, and what is
given up goes to the on-failure queue.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

import functions.publish_alerts.app
import functions.redrive_alerts.app
from orderwatch import clock
from orderwatch.aws.dynamodb import to_item
from orderwatch.publishing.publish import STOP_BEFORE
from orderwatch.records import ConnectionState
from tests.support.alerts import first_sight
from tests.support.clocks import FakeClock
from tests.support.cloud import Tables
from tests.support.lambda_context import lambda_context
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.template import load_template

APPS = (functions.publish_alerts.app, functions.redrive_alerts.app)
SETTINGS: dict[str, Any] = load_template()["Resources"]["PublishAlertsFunction"]["Properties"]["Events"]["AlertStream"][
    "Properties"
]
BACKOFF = 15.0
"""Seconds between two attempts; AWS does not say how many."""

type Record = dict[str, Any]


@dataclass
class Pipeline:
    """The table with its stream, one event source mapping, the two handlers that send, and SNS.

    Attributes:
        poison: The alerts that publish_alerts dies of.
        seconds: What an invocation has.
        batches: The size of every batch that publish_alerts was given.
        given_up: The number of records of each message on the on-failure queue.
    """

    tables: Tables
    clock: FakeClock
    sns: RecordingSns
    poison: set[str] = field(default_factory=set)
    seconds: float = 300.0
    batches: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)

    def put(self, count: int) -> list[str]:
        """Put new alerts; their IDs in the stream's order."""
        writes = [first_sight(f"{number}") for number in range(count)]
        for write in writes:
            self.tables.store.commit(ConnectionState(connection_id=f"conn-{write.order_id}"), writes=[write], alerts=[])
        return [write.alert.alert_id for write in writes if write.alert]

    def stream(self) -> None:
        """Handle every record of the stream from the oldest on, as far as the filter lets it through."""
        [pattern] = SETTINGS["FilterCriteria"]["Filters"]
        assert json.loads(pattern["Pattern"]) == {"eventName": ["INSERT"]}
        records = [
            {"dynamodb": {"Keys": row, "SequenceNumber": str(number)}}
            for number, row in enumerate(self.tables.rows("AlertTable"))
        ]
        for start in range(0, len(records), SETTINGS["BatchSize"]):
            self._handle(records[start : start + SETTINGS["BatchSize"]], attempts=0)

    def _handle(self, batch: list[Record], *, attempts: int) -> None:
        """Invoke with the batch until it is empty; the halves of a split batch share its attempts."""
        rest = self._invoked(batch)
        if not rest:
            return
        if len(rest) > 1 and len(rest) == len(batch) and SETTINGS["BisectBatchOnFunctionError"]:
            middle = len(rest) // 2
            self._handle(rest[:middle], attempts=attempts)
            self._handle(rest[middle:], attempts=attempts)
        elif attempts < SETTINGS["MaximumRetryAttempts"]:
            self.clock.sleep(BACKOFF)
            self._handle(rest, attempts=attempts + 1)
        else:
            self.given_up.append(len(rest))

    def _invoked(self, batch: list[Record]) -> list[Record]:
        """The records to retry: all after an error, else all from the lowest reported failure."""
        assert SETTINGS["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        self.batches.append(len(batch))
        if self.poison & {record["dynamodb"]["Keys"]["alert_id"]["S"] for record in batch}:
            return batch
        answer = functions.publish_alerts.app.handler({"Records": batch}, lambda_context(seconds_left=self.seconds))
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        known = [index for index, record in enumerate(batch) if record["dynamodb"]["SequenceNumber"] in failed]
        assert len(known) == len(failed), "with an unknown identifier AWS fails the whole batch"
        return batch[known[0] :] if known else []

    def redrive(self) -> dict[str, int]:
        """An hour later, redrive_alerts runs."""
        self.clock.seconds += timedelta(hours=1).total_seconds()
        return dict(functions.redrive_alerts.app.handler({}, lambda_context(seconds_left=300)))


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    tables, fake_clock, sns = Tables.in_memory(), FakeClock(), RecordingSns()
    variables = {
        "PARAMETER_PREFIX": "/orderwatch",
        "ACTION_URL": "",
        "TRACKSTAR_BASE_URL": "https://trackstar.invalid",
        "ALERT_TABLE_NAME": tables.names["AlertTable"],
        "PACE_TABLE_NAME": tables.names["PaceTable"],
        "ALERT_TOPIC_ARN": ARN,
        "OPS_TOPIC_ARN": ARN,
        "CONNECTION_TABLE_NAME": tables.names["ConnectionTable"],
        "ALERT_EMAIL_EXPECTED": "true",
        "OPS_EMAIL_EXPECTED": "true",
        "SLACK_QUEUE_URL": "",
        "DIGEST_THRESHOLD": "100",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    clients = {"sns": sns.as_client(), "dynamodb": tables.client}
    monkeypatch.setattr(boto3, "client", lambda name, **options: clients.get(name, SimpleNamespace()))
    for app in APPS:
        app._adapters.cache_clear()
    clock.use(fake_clock)
    yield Pipeline(tables, fake_clock, sns)
    for app in APPS:
        app._adapters.cache_clear()


def test_new_alerts_are_sent_in_one_batch_and_once(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(3)
    pipeline.stream()
    assert (pipeline.sns.sent_ids(), pipeline.batches) == (alert_ids, [3])
    pipeline.stream()
    assert len(pipeline.sns.sent_ids()) == 3, "a second read of the stream sends nothing"


def test_a_partial_failure_is_retried_without_duplicates(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(4)
    refusals = [True, True, False]
    pipeline.sns.refuses = lambda body: body["alert_id"] == alert_ids[1] and refusals.pop(0)
    pipeline.stream()
    assert pipeline.batches[:2] == [4, 3]
    assert (sorted(pipeline.sns.sent_ids()), pipeline.given_up) == (sorted(alert_ids), [])


def test_what_an_invocation_has_no_time_for_is_given_to_the_next(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    alert_ids, pipeline.seconds = pipeline.put(25), STOP_BEFORE + 0.5
    pipeline.stream()
    assert (pipeline.batches, pipeline.given_up) == ([25, 15, 5], [])
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)
    assert '"AlertsUnsent":' not in "".join(line for line in capsys.readouterr().out.splitlines() if "_aws" in line)


def test_a_storm_that_dynamodb_throttles_is_sent_once(pipeline: Pipeline) -> None:
    alert_ids, memory = pipeline.put(7), cast("MemoryDynamoDB", pipeline.tables.client)
    memory.throttled_until = pipeline.clock.seconds + 30
    publish_batch = pipeline.sns.publish_batch

    def throttle_marks(**request: Any) -> dict[str, Any]:
        memory.throttled_until = pipeline.clock.seconds + 30
        return publish_batch(**request)

    pipeline.sns.publish_batch = throttle_marks  # type: ignore[method-assign]
    pipeline.stream()
    assert (pipeline.batches, pipeline.sns.sent_ids()) == ([7], alert_ids)
    assert list(pipeline.tables.alerts.pending_since_before(pipeline.clock.now())) == []


def test_after_a_long_outage_redrive_sends_every_alert(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(3)
    pipeline.sns.is_down = True
    pipeline.stream()
    assert (pipeline.sns.sent_ids(), sum(pipeline.given_up)) == ([], 3)
    pipeline.sns.is_down = False
    assert pipeline.redrive() == {"sent": 3, "unsent": 0}
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)


def test_a_poison_record_is_isolated_and_sent_by_redrive(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(5)
    pipeline.poison = {alert_ids[2]}
    pipeline.stream()
    assert sorted(pipeline.sns.sent_ids()) == sorted(set(alert_ids) - pipeline.poison)
    assert pipeline.given_up == [1]
    assert len(pipeline.batches) < 5 + 2 * SETTINGS["MaximumRetryAttempts"], "attempts are bounded"
    assert pipeline.redrive() == {"sent": 1, "unsent": 0}
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)


def test_an_unreadable_alert_stays_pending_and_blocks_no_other(pipeline: Pipeline) -> None:
    broken, good = pipeline.put(2)
    [broken_key] = [key for key in pipeline.tables.alert_keys() if key.alert_id == broken]
    pipeline.tables.client.update_item(
        TableName=pipeline.tables.names["AlertTable"],
        Key=to_item(broken_key._asdict()),
        UpdateExpression="SET alert = :alert",
        ConditionExpression="attribute_exists(alert_id)",
        ExpressionAttributeValues={":alert": {"S": '{"schema": "orderwatch.alert.v9"}'}},
    )
    pipeline.stream()
    pipeline.redrive()
    assert pipeline.sns.sent_ids() == [good]
    pending = pipeline.tables.alerts.pending_since_before(pipeline.clock.now())
    assert [key.alert_id for key in pending] == [broken]


@pytest.mark.parametrize(("minutes", "sent"), [(9, 0), (11, 2)])
def test_redrive_sends_alerts_after_ten_minutes(pipeline: Pipeline, minutes: int, sent: int) -> None:
    pipeline.put(2)
    pipeline.clock.seconds += 60 * minutes - 3600
    assert pipeline.redrive() == {"sent": sent, "unsent": 0}


@pytest.mark.parametrize(("minutes", "overdue"), [(14, []), (16, [2.0])])
def test_redrive_counts_alerts_unsent_after_15_minutes(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], minutes: int, overdue: list[float]
) -> None:
    pipeline.put(2)
    pipeline.sns.is_down = True
    pipeline.clock.seconds += 60 * minutes - 3600
    assert pipeline.redrive() == {"sent": 0, "unsent": 2}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"AlertsOverdue"' in line]
    assert [line["AlertsOverdue"] for line in lines] == [overdue] * bool(overdue)
