"""publish_alerts behind its stream, polled by the rules that AWS publishes and with the settings of the template.

The local cloud ignores partial failures, retry limits and on-failure destinations of stream mappings. So a small poller
here reads a real stream (moto's) and does what AWS documents ("Configuring partial batch response with DynamoDB and
Lambda", "Retain discarded records"): a failed batch is halved, one that names failures goes on from the lowest of them,
tries and age are bounded, and what is given up is named to the on-failure queue while the rest goes on.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

import functions.publish_alerts.app
import functions.redrive_alerts.app
from orderwatch import clock
from orderwatch.aws.dynamodb import to_item
from orderwatch.records import ConnectionState
from tests.support.alerts import first_sight
from tests.support.clocks import FakeClock
from tests.support.cloud import Tables
from tests.support.lambda_context import lambda_context
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.template import load_template

SETTINGS: dict[str, Any] = load_template()["Resources"]["PublishAlertsFunction"]["Properties"]["Events"]["AlertStream"][
    "Properties"
]
BACKOFF = 15.0
"""Seconds between two tries; AWS does not say how many."""

type Record = dict[str, Any]
type Handler = Callable[[dict[str, Any]], dict[str, Any]]


def sequence_of(record: Record) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


@dataclass
class StreamPoller:
    """One event source mapping: one shard, one batch at a time.

    Args:
        stream_arn: What it reads.
        handler: What it invokes.
        queue_url: The on-failure destination.
        wait: How to wait between tries.

    Attributes:
        batches: The sequence numbers of every batch that the handler was given.
    """

    stream_arn: str
    handler: Handler
    queue_url: str
    wait: Callable[[float], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    batches: list[list[str]] = field(default_factory=list)

    def run(self) -> None:
        """Handle every record that is in the stream now, from the oldest on."""
        event_names = json.loads(SETTINGS["FilterCriteria"]["Filters"][0]["Pattern"])["eventName"]
        records = [record for record in self._records() if record["eventName"] in event_names]
        for start in range(0, len(records), SETTINGS["BatchSize"]):
            self._handle(records[start : start + SETTINGS["BatchSize"]], tries=0)

    def _records(self) -> Iterator[Record]:
        # moto does not know the endpoints that hold the account's id.
        streams = boto3.client("dynamodbstreams", config=Config(account_id_endpoint_mode="disabled"))
        [shard] = streams.describe_stream(StreamArn=self.stream_arn)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=self.stream_arn, ShardId=shard["ShardId"], ShardIteratorType=SETTINGS["StartingPosition"]
        )["ShardIterator"]
        while records := (answer := streams.get_records(ShardIterator=iterator))["Records"]:
            yield from (dict(record) for record in records)
            iterator = answer["NextShardIterator"]

    def _handle(self, batch: list[Record], *, tries: int) -> None:
        """Invoke with the batch until it is empty; the halves of a split batch share its attempts."""
        batch = self._young_enough(batch)
        if not batch:
            return
        rest = self._invoked(batch)
        if not rest:
            return
        if len(rest) > 1 and len(rest) == len(batch) and SETTINGS["BisectBatchOnFunctionError"]:
            middle = len(rest) // 2
            self._handle(rest[:middle], tries=tries)
            self._handle(rest[middle:], tries=tries)
        elif tries < SETTINGS["MaximumRetryAttempts"]:
            self.wait(BACKOFF)
            self._handle(rest, tries=tries + 1)
        else:
            self._give_up(rest, "RetryAttemptsExhausted")

    def _invoked(self, batch: list[Record]) -> list[Record]:
        """The records to retry: all after an error, else all from the lowest reported failure."""
        self.batches.append([sequence_of(record) for record in batch])
        try:
            answer = self.handler({"Records": batch})
        except Exception:  # noqa: BLE001 - whatever the function dies of
            return batch
        if "ReportBatchItemFailures" not in SETTINGS["FunctionResponseTypes"] or not answer["batchItemFailures"]:
            return []
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        known = [index for index, record in enumerate(batch) if sequence_of(record) in failed]
        assert len(known) == len(failed), "with an unknown identifier AWS fails the whole batch"
        return batch[known[0] :]

    def _young_enough(self, batch: list[Record]) -> list[Record]:
        oldest = self.now() - timedelta(seconds=SETTINGS["MaximumRecordAgeInSeconds"])
        too_old = [record for record in batch if record["dynamodb"]["ApproximateCreationDateTime"] < oldest]
        if too_old:
            self._give_up(too_old, "RecordAgeExceeded")
        return batch[len(too_old) :]

    def _give_up(self, records: list[Record], condition: str) -> None:
        numbers = [sequence_of(record) for record in records]
        info = {"startSequenceNumber": numbers[0], "endSequenceNumber": numbers[-1], "batchSize": len(numbers)}
        body = {"requestContext": {"condition": condition}, "DDBStreamBatchInfo": info}
        boto3.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(body))


@dataclass
class Pipeline:
    """The table with its stream, the two handlers that send, the on-failure queue and SNS."""

    tables: Tables
    clock: FakeClock
    sns: RecordingSns
    queue_url: str
    broken_for: set[str] = field(default_factory=set)

    def put(self, count: int) -> list[str]:
        """New alerts, by their ids, in the stream's order."""
        known = len(self.tables.rows("OrderTable"))
        writes = [first_sight(f"{known + number}") for number in range(count)]
        for write in writes:
            self.tables.store.commit(ConnectionState(connection_id=f"conn-{write.order_id}"), writes=[write], alerts=[])
        return [write.alert.alert_id for write in writes if write.alert]

    def poller(self, *, later: timedelta = timedelta()) -> StreamPoller:
        description = self.tables.client.describe_table(TableName=self.tables.names["AlertTable"])
        return StreamPoller(
            description["Table"]["LatestStreamArn"],
            self.publish,
            self.queue_url,
            self.clock.sleep,
            now=lambda: datetime.now(UTC) + later,
        )

    def publish(self, event: dict[str, Any]) -> dict[str, Any]:
        keys = {record["dynamodb"]["Keys"]["alert_id"]["S"] for record in event["Records"]}
        if keys & self.broken_for:
            raise RuntimeError("the function dies of this record")
        return dict(functions.publish_alerts.app.handler(event, lambda_context()))

    def redrive(self) -> dict[str, int]:
        self.clock.seconds += timedelta(hours=1).total_seconds()
        return dict(functions.redrive_alerts.app.handler({}, lambda_context(seconds_left=300)))

    def given_up(self) -> list[tuple[str, int]]:
        """The messages on the on-failure queue: condition and number of records."""
        messages = boto3.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in messages.get("Messages", [])]
        return [(body["requestContext"]["condition"], body["DDBStreamBatchInfo"]["batchSize"]) for body in bodies]


@pytest.fixture
def pipeline(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    fake_clock, sns = FakeClock(), RecordingSns()
    variables = {
        "PARAMETER_PREFIX": "/orderwatch",
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
    queue_url = boto3.client("sqs").create_queue(QueueName="stream-failures")["QueueUrl"]
    real: Any = boto3.client
    clients = {"sns": sns.as_client(), "dynamodb": tables.client}
    monkeypatch.setattr(boto3, "client", lambda name, **options: clients.get(name) or real(name, **options))
    apps = (functions.publish_alerts.app, functions.redrive_alerts.app)
    for app in apps:
        app._adapters.cache_clear()
    clock.use(fake_clock)
    yield Pipeline(tables, fake_clock, sns, queue_url)
    for app in apps:
        app._adapters.cache_clear()


def test_new_alerts_are_sent_in_one_batch_and_once(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(3)
    poller = pipeline.poller()
    poller.run()
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)
    assert [len(batch) for batch in poller.batches] == [3]

    pipeline.poller().run()
    assert len(pipeline.sns.sent_ids()) == 3, "a second read of the stream sends nothing"


def test_a_partial_failure_is_retried_without_duplicates(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(4)
    refusals = [True, True, False]
    pipeline.sns.refuses = lambda body: body["alert_id"] == alert_ids[1] and refusals.pop(0)
    poller = pipeline.poller()
    poller.run()
    assert [len(batch) for batch in poller.batches][:2] == [4, 3]
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)
    assert pipeline.given_up() == []


def test_a_short_outage_delays_alerts_and_drops_none(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(3)
    pipeline.sns.is_down = True
    poller = pipeline.poller()

    def recover(seconds: float) -> None:
        pipeline.clock.sleep(seconds)
        pipeline.sns.is_down = False

    poller.wait = recover
    poller.run()
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)
    assert pipeline.given_up() == []


def test_after_a_long_outage_redrive_sends_every_alert(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(3)
    pipeline.sns.is_down = True
    pipeline.poller().run()
    assert sum(count for _, count in pipeline.given_up()) == 3
    assert pipeline.sns.sent_ids() == []

    pipeline.sns.is_down = False
    assert pipeline.redrive() == {"sent": 3, "unsent": 0}
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)


def test_a_poison_record_is_isolated_and_sent_by_redrive(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(5)
    pipeline.broken_for = {alert_ids[2]}
    poller = pipeline.poller()
    poller.run()
    assert sorted(pipeline.sns.sent_ids()) == sorted(set(alert_ids) - pipeline.broken_for)
    assert pipeline.given_up() == [("RetryAttemptsExhausted", 1)]
    assert len(poller.batches) < 5 + 2 * SETTINGS["MaximumRetryAttempts"], "attempts are bounded"

    assert pipeline.redrive() == {"sent": 1, "unsent": 0}
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)


def test_a_record_over_its_maximum_age_is_sent_by_redrive(pipeline: Pipeline) -> None:
    alert_ids = pipeline.put(2)
    poller = pipeline.poller(later=timedelta(hours=25))
    poller.run()
    assert poller.batches == []
    assert pipeline.given_up() == [("RecordAgeExceeded", 2)]

    assert pipeline.redrive() == {"sent": 2, "unsent": 0}
    assert sorted(pipeline.sns.sent_ids()) == sorted(alert_ids)


def test_an_unreadable_alert_stays_pending_and_blocks_no_other(pipeline: Pipeline) -> None:
    broken, good = pipeline.put(2)
    [broken_key] = [key for key in pipeline.tables.alert_keys() if key.alert_id == broken]
    pipeline.tables.client.update_item(
        TableName=pipeline.tables.names["AlertTable"],
        Key=to_item(broken_key._asdict()),
        UpdateExpression="SET alert = :alert",
        ExpressionAttributeValues={":alert": {"S": '{"schema": "orderwatch.alert.v9"}'}},
    )
    pipeline.poller().run()
    pipeline.redrive()
    assert pipeline.sns.sent_ids() == [good]
    pending = pipeline.tables.alerts.pending_since_before(pipeline.clock.now())
    assert [key.alert_id for key in pending] == [broken]


def test_redrive_counts_alerts_unsent_after_15_minutes(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.put(2)
    pipeline.sns.is_down = True
    for is_down, overdue in ((True, [[2.0]]), (False, [])):
        pipeline.sns.is_down = is_down
        capsys.readouterr()
        pipeline.redrive()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"AlertsOverdue"' in line]
        assert [line["AlertsOverdue"] for line in lines] == overdue
