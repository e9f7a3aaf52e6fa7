"""Events for `sam local invoke`, and those in `events/`, have the form that AWS sends."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.aws.alert_table import AlertTable
from orderwatch_cli import sam_events
from tests.support.alerts import alert_of
from tests.support.template import ROOT

QUEUE_ARN = "arn:aws:sqs:eu-central-1:123456789012:orderwatch-PollQueue-1A2B.fifo"
STREAM_ARN = (
    "arn:aws:dynamodb:eu-central-1:123456789012:table/orderwatch-AlertTable-1A2B/stream/2026-03-01T09:00:00.000"
)
SCHEDULE_ARN = "arn:aws:scheduler:eu-central-1:123456789012:schedule/default/orderwatch-PollSchedule-1A2B"


def example(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """The names and types in a record, without the parts that differ."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name not in {"NewImage", "messageAttributes"}}
    return type(value)


def row_of(alert: Alert) -> Any:
    action: Any = AlertTable(None, "table").put_action(alert)  # type: ignore[arg-type]
    return action["Put"]["Item"]


ALERT = alert_of("o1")
WRITTEN = {
    "dispatch_polls_schedule": sam_events.tick(SCHEDULE_ARN),
    "redrive_alerts_schedule": sam_events.tick(SCHEDULE_ARN),
    "send_summary_schedule": sam_events.tick(SCHEDULE_ARN),
    "handle_action_request": sam_events.page_request("not-signed"),
    "poll_orders_message": sam_events.poll("conn_a", queue_arn=QUEUE_ARN),
    "publish_alerts_stream": sam_events.new_alerts([row_of(ALERT)], stream_arn=STREAM_ARN),
    "post_to_slack_message": sam_events.slack_messages([ALERT], queue_arn=QUEUE_ARN),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_event_has_the_form_of_its_example(name: str) -> None:
    written, known = WRITTEN[name], example(name)
    records, examples = written.get("Records", [written]), known.get("Records", [known])
    assert [shape(record) for record in records] == [shape(record) for record in examples]
    for record in (each for each in (*records, *examples) if "body" in each):
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()


def test_the_example_of_the_stream_has_the_row_that_a_poll_writes() -> None:
    [record] = example("publish_alerts_stream")["Records"]
    image = record["dynamodb"]["NewImage"]
    written = row_of(Alert.model_validate_json(image["alert"]["S"]))
    assert {**image, "created_at": None} == {**written, "created_at": None}


def test_the_example_for_slack_is_an_alert_that_orderwatch_sends() -> None:
    [record] = example("post_to_slack_message")["Records"]
    event = sam_events.slack_messages([Alert.model_validate_json(record["body"])], queue_arn=QUEUE_ARN)
    [written] = event["Records"]
    assert json.loads(written["body"]) == json.loads(record["body"])
    assert written["messageAttributes"] == record["messageAttributes"]


def test_the_event_of_a_poll_stays_useful_for_a_day() -> None:
    [record] = sam_events.poll("conn_a", queue_arn=QUEUE_ARN)["Records"]
    asked_at = datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
    assert asked_at > clock.now() + timedelta(hours=23)
    assert json.loads(record["body"]) == {"connection_id": record["attributes"]["MessageGroupId"]}


def test_a_received_message_is_passed_on_unchanged() -> None:
    taken = {
        "Body": '{"alert_id": "a1"}',
        "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1772446503921"},
        "MessageAttributes": {"kind": {"StringValue": "order.exception", "DataType": "String"}},
    }
    [record] = sam_events.taken_messages([taken], queue_arn=QUEUE_ARN)["Records"]
    assert (record["body"], record["attributes"]) == (taken["Body"], taken["Attributes"])
    assert record["messageAttributes"]["kind"]["stringValue"] == "order.exception"
    assert record["awsRegion"] == "eu-central-1"
