"""Events for `sam local invoke`, as AWS sends them to the functions."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.rendering import sns
from orderwatch.rendering.sns import Attribute, attributes_of

GOOD_FOR = timedelta(days=1)
"""How long the event of a poll stays useful: a poll that was requested before the shop was last read ends at once."""

type Event = dict[str, Any]


def tick(schedule_arn: str) -> Event:
    """Build an event of EventBridge Scheduler; send_summary reads its date, the other functions ignore its content."""
    _, _, _, region, account, _ = schedule_arn.split(":", 5)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [schedule_arn],
        "detail": "{}",
    }


def page_request(token: str) -> Event:
    """Build an event of a function URL: a browser opens the link with this token."""
    path = f"/{token}"
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "browser"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept": "text/html"},
        "requestContext": {"http": http, "requestId": str(uuid.uuid4()), "stage": "$default"},
        "isBase64Encoded": False,
    }


def poll(connection_id: str, *, queue_arn: str) -> Event:
    """Build an event of PollQueue that requests a poll of one connection; its date is in the future (`GOOD_FOR`)."""
    asked_at = clock.now() + GOOD_FOR
    attributes = {
        **_received(asked_at),
        "SequenceNumber": "18893219371201774592",
        "MessageGroupId": connection_id,
        "MessageDeduplicationId": uuid.uuid4().hex,
    }
    return {"Records": [_sqs_record(json.dumps({"connection_id": connection_id}), attributes, {}, queue_arn)]}


def new_alerts(rows: Sequence[Mapping[str, Any]], *, stream_arn: str) -> Event:
    """Build an event of AlertTable's stream: these rows, in DynamoDB's notation, were inserted."""
    return {"Records": [_stream_record(row, stream_arn, number) for number, row in enumerate(rows)]}


def slack_messages(alerts: Sequence[Alert], *, queue_arn: str) -> Event:
    """Build an event of SlackQueue with these alerts of AlertTopic."""
    sent = _received(clock.now())
    records = [
        _sqs_record(sns.json_body(alert), sent, _sqs_attributes(attributes_of(alert)), queue_arn) for alert in alerts
    ]
    return {"Records": records}


def taken_messages(messages: Sequence[Mapping[str, Any]], *, queue_arn: str) -> Event:
    """Build an event of a queue from messages that were received from it with all their attributes."""
    records = [
        _sqs_record(each["Body"], each["Attributes"], _lower_attributes(each.get("MessageAttributes", {})), queue_arn)
        for each in messages
    ]
    return {"Records": records}


def _received(at: datetime) -> dict[str, str]:
    milliseconds = str(int(at.timestamp() * 1000))
    return {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": milliseconds,
        "SenderId": "AIDAEXAMPLEEXAMPLEAAA",
        "ApproximateFirstReceiveTimestamp": milliseconds,
    }


def _sqs_record(
    body: str, attributes: Mapping[str, str], message_attributes: Mapping[str, Any], queue_arn: str
) -> Event:
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": dict(attributes),
        "messageAttributes": dict(message_attributes),
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _sqs_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    return {name: _sqs_attribute(each.type, each.value) for name, each in attributes.items()}


def _lower_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _sqs_attribute(each["DataType"], each["StringValue"]) for name, each in attributes.items()}


def _sqs_attribute(data_type: str, value: str) -> dict[str, Any]:
    return {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": data_type}


def _stream_record(row: Mapping[str, Any], stream_arn: str, number: int) -> Event:
    created_at = datetime.fromisoformat(row["created_at"]["S"]).astimezone(UTC)
    return {
        "eventID": uuid.uuid4().hex,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream_arn.split(":")[3],
        "dynamodb": {
            "ApproximateCreationDateTime": int(created_at.timestamp()),
            "Keys": {name: row[name] for name in ("connection_id", "alert_id")},
            "NewImage": dict(row),
            "SequenceNumber": str(4421584500000000017450439091 + number),
            "SizeBytes": len(json.dumps(row)),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": stream_arn,
    }
