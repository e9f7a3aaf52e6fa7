"""A deployed stack for tests of the operator's commands, in this process.

moto has its tables, topics, queues, parameters and schedules. CloudFormation, Lambda and CloudWatch are faked here, as
far as the commands use them.
"""

import io
import json
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from orderwatch.alerts.alert import Alert
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import row_from_state
from orderwatch.aws.dynamodb import to_item
from orderwatch.aws.order_table import OrderTable
from orderwatch.polling.detect import OrderWrite
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState
from orderwatch_cli.aws import Aws
from orderwatch_cli.main import run
from orderwatch_cli.stack import (
    ALARM,
    EVENT_SOURCE,
    FUNCTION,
    QUEUE,
    SCHEDULE,
    STACK_NAME,
    TABLE,
    Resource,
    Stack,
    find_stack,
)
from orderwatch_local.simulator import Shop, SystemClock, Trackstar
from tests.support.clocks import set_back
from tests.support.cloud import CREATED_BY
from tests.support.permissions import REGION, RESOURCES, arn_of, environment_of, name_of, resolved
from tests.support.template import load_template

API_KEY = "key-of-the-operator"
TOKEN = "token-of-conn-a"
CONNECTION = "conn_a"
WEBHOOK = "https://hooks.slack.example/services/very-secret"
LOG_GROUP = "AWS::Logs::LogGroup"
TOPIC = "AWS::SNS::Topic"
_ROLE = f"arn:aws:iam::{'0' * 12}:role/none"
_SCHEDULE: Any = {
    "ScheduleExpression": "rate(15 minutes)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": f"arn:aws:lambda:{REGION}:{'0' * 12}:function:none", "RoleArn": _ROLE},
}


class Ran(NamedTuple):
    """The result of a command."""

    code: object
    out: str
    err: str


@cache
def moto_client(service: str) -> Any:
    """A client for every test: making one takes longer than most tests."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, region_name=REGION, **keys)  # type: ignore[call-overload]


def _refused(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "there is none"}}, operation)


@cache
def _resources() -> list[Resource]:
    """The template's resources, and those that SAM makes of its functions' events."""
    found = []
    for name, definition in load_template()["Resources"].items():
        kind = definition["Type"].replace("Serverless", "Lambda")
        if kind in {TABLE, QUEUE, TOPIC, ALARM, SCHEDULE, FUNCTION, LOG_GROUP}:
            found.append(Resource(name, kind, str(resolved({"Ref": name}))))
        for event, source in definition.get("Properties", {}).get("Events", {}).items():
            kind = SCHEDULE if source["Type"] == "ScheduleV2" else EVENT_SOURCE
            found.append(Resource(f"{name}{event}", kind, f"{name}{event}"))
    return found


def _create(resource: Resource) -> None:
    properties = RESOURCES.get(resource.name, {}).get("Properties", {})
    match resource.type:
        case "AWS::DynamoDB::Table":
            definition = {key: properties[key] for key in CREATED_BY if key in properties}
            if stream := definition.get("StreamSpecification"):
                definition["StreamSpecification"] = {"StreamEnabled": True, **stream}
            moto_client("dynamodb").create_table(TableName=resource.id, **definition)
        case "AWS::SQS::Queue":
            fifo = {"FifoQueue": "true"} if properties.get("FifoQueue") else {}
            moto_client("sqs").create_queue(QueueName=name_of(resource.name), Attributes=fifo)
        case "AWS::SNS::Topic":
            moto_client("sns").create_topic(Name=resource.name)
        case "AWS::Scheduler::Schedule":
            moto_client("scheduler").create_schedule(Name=resource.id, **_SCHEDULE)


class _Fake:
    def close(self) -> None:
        """Do nothing: there is no connection."""


class FakeCloudFormation(_Fake):
    """Describes stacks by their name."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {}
        self.resources = list(_resources())

    def describe_stacks(self, **request: Any) -> dict[str, Any]:
        if request["StackName"] not in self.stacks:
            raise _refused("DescribeStacks", "ValidationError")
        return {"Stacks": [self.stacks[request["StackName"]]]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_stack_resources"
        names = ("LogicalResourceId", "ResourceType", "PhysicalResourceId")
        listed = [dict(zip(names, (each.name, each.type, each.id), strict=True)) for each in self.resources]
        return SimpleNamespace(paginate=lambda **_: [{"StackResourceSummaries": [each]} for each in listed])


@dataclass
class FakeLambda(_Fake):
    """Functions that never run.

    Attributes:
        answers: What a function returns, by its name; None: its own payload.
        invoked: Names and payloads, oldest first.
        reserved: The reserved concurrency of the functions that have one; a missing function has None.
        disabled: The event source mappings that are disabled.
        concurrency: Functions that the account runs at a time.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    invoked: list[tuple[str, Any]] = field(default_factory=list)
    reserved: dict[str, int | None] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    concurrency: int = 1000

    def get_account_settings(self, **request: Any) -> dict[str, Any]:
        return {"AccountLimit": {"UnreservedConcurrentExecutions": self.concurrency}}

    def invoke(self, **request: Any) -> dict[str, Any]:
        name, payload = request["FunctionName"], json.loads(request["Payload"])
        self.invoked.append((name, payload))
        answer = self.answers.get(name, payload)
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}

    def get_function_concurrency(self, **request: Any) -> dict[str, Any]:
        reserved = self.reserved.get(request["FunctionName"], -1)
        if reserved is None:
            raise _refused("GetFunctionConcurrency", "ResourceNotFoundException")
        return {"ReservedConcurrentExecutions": reserved} if reserved >= 0 else {}

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        return {"Environment": {"Variables": environment_of(request["FunctionName"])}, "Timeout": 120}

    def update_event_source_mapping(self, **request: Any) -> None:
        (self.disabled.discard if request["Enabled"] else self.disabled.add)(request["UUID"])

    def get_event_source_mapping(self, **request: Any) -> dict[str, Any]:
        return {"State": "Disabled" if request["UUID"] in self.disabled else "Enabled"}


@dataclass
class FakeCloudWatch(_Fake):
    """Alarms and metrics.

    Attributes:
        alarms: The states of the alarms.
        metrics: Values by the metric and by what it is about.
    """

    alarms: dict[str, str] = field(
        default_factory=lambda: {each.id: "INSUFFICIENT_DATA" for each in _resources() if each.type == ALARM}
    )
    metrics: dict[tuple[str, str], float] = field(default_factory=dict)

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        found = [name for name in request["AlarmNames"] if name in self.alarms]
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": self.alarms[name]} for name in found]}

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        [dimension], [statistic] = request["Dimensions"], request["Statistics"]
        value = self.metrics.get((request["MetricName"], dimension["Value"]))
        return {"Datapoints": [] if value is None else [{statistic: value}]}


class FakeLogs(_Fake):
    """Log groups; a filter pattern is one or several quoted texts."""

    def __init__(self) -> None:
        self.lines: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)

    def get_paginator(self, operation: str) -> Any:
        assert operation == "filter_log_events"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **request: Any) -> Iterator[dict[str, Any]]:
        texts = shlex.split(request.get("filterPattern", ""))
        for at, message in sorted(self.lines[request["logGroupName"]]):
            milliseconds = int(at.timestamp() * 1000)
            if milliseconds >= request["startTime"] and all(text in message for text in texts):
                yield {"events": [{"timestamp": milliseconds, "message": message}]}


class FakeSession:
    """Stands for boto3's session of the user."""

    def __init__(self) -> None:
        self.cloudformation, self.cloudwatch = FakeCloudFormation(), FakeCloudWatch()
        self.functions, self.logs = FakeLambda(), FakeLogs()
        self._fakes: dict[str, Any] = {
            "cloudformation": self.cloudformation,
            "cloudwatch": self.cloudwatch,
            "lambda": self.functions,
            "logs": self.logs,
        }

    def use(self, service: str, client: Any) -> None:
        """Use another client for a service."""
        self._fakes[service] = client

    def client(self, service: str, **_: Any) -> Any:
        return self._fakes.get(service) or moto_client(service)


@dataclass(frozen=True)
class Operated:
    """The template's stack, a simulated Trackstar, and a shop."""

    session: FakeSession
    trackstar: Trackstar
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def deployed(
        cls, url: str, trackstar: Trackstar, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> "Operated":
        """Describe the stack; no resource is created and no secret is put yet."""
        session = FakeSession()
        monkeypatch.setattr("orderwatch_cli.aws._users_session", lambda: session)
        operated = cls(session, trackstar, capture, monkeypatch)
        operated.describe(TrackstarBaseUrl=url, SlackEnabled="true")
        return operated

    def create(self, *kinds: str) -> None:
        """Create the resources of these types, which takes longer than most commands."""
        for resource in _resources():
            if resource.type in kinds:
                _create(resource)
        if {TOPIC, QUEUE} <= set(kinds):
            self._subscribe("AlertTopic", arn_of("SlackQueue"), {})

    def describe(self, **changed: str) -> None:
        """Set what CloudFormation tells about the stack."""
        template = load_template()
        defaults = {name: str(each["Default"]) for name, each in template["Parameters"].items()}
        outputs = {name: str(resolved(each["Value"])) for name, each in template["Outputs"].items()}
        self.session.cloudformation.stacks[STACK_NAME] = {
            "StackStatus": "CREATE_COMPLETE",
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in (defaults | changed).items()
            ],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        }

    @property
    def shop(self) -> Shop:
        return self.trackstar.shops[0]

    @property
    def stack(self) -> Stack:
        with Aws() as aws:
            return find_stack(aws, STACK_NAME)

    def in_good_order(self) -> None:
        """Create everything that doctor checks, without a problem."""
        self.create(TABLE, QUEUE, TOPIC, SCHEDULE)
        self.with_shop()
        for topic in ("AlertTopic", "OpsTopic"):
            self.subscribe(topic)

    def with_shop(self) -> None:
        """Put the secrets, and the row of a polled shop."""
        self.put_secret("trackstar/api-key", API_KEY)
        self.put_secret("slack/webhook-url", WEBHOOK)
        self.connect(CONNECTION, TOKEN)
        self.polled(CONNECTION)

    def put_secret(self, parameter: str, value: str) -> None:
        self.put(parameter, value, kind="SecureString")

    def put(self, parameter: str, value: str, *, kind: str = "String") -> None:
        moto_client("ssm").put_parameter(Name=f"/orderwatch/{parameter}", Value=value, Type=kind, Overwrite=True)

    def connect(self, connection_id: str, token: str) -> None:
        self.put_secret(f"connections/{connection_id}/access-token", token)

    def forget(self, parameter: str) -> None:
        moto_client("ssm").delete_parameter(Name=f"/orderwatch/{parameter}")

    def parameters(self) -> dict[str, tuple[str, str]]:
        """Type and value of each parameter."""
        answer = moto_client("ssm").get_parameters_by_path(Path="/orderwatch", Recursive=True, WithDecryption=True)
        return {
            each["Name"].removeprefix("/orderwatch/"): (each["Type"], each["Value"]) for each in answer["Parameters"]
        }

    def versions(self, parameter: str) -> int:
        history = moto_client("ssm").get_parameter_history(Name=f"/orderwatch/{parameter}")
        return len(history["Parameters"])

    def rows(self, table: str) -> list[Any]:
        return list(moto_client("dynamodb").scan(TableName=table)["Items"])

    def subscribe(self, topic: str, **policy: list[Any]) -> str:
        """Subscribe a new queue to a topic of the template, maybe with a filter policy; return its URL."""
        url = moto_client("sqs").create_queue(QueueName=f"inbox-{datetime.now(UTC).timestamp()}".replace(".", "-"))
        name = str(url["QueueUrl"]).rpartition("/")[2]
        self._subscribe(topic, arn_of("SlackQueue").replace("SlackQueue", name), policy)
        return str(url["QueueUrl"])

    def _subscribe(self, topic: str, queue_arn: str, policy: dict[str, list[Any]]) -> None:
        attributes = RAW | ({"FilterPolicy": json.dumps(policy)} if policy else {})
        moto_client("sns").subscribe(TopicArn=arn_of(topic), Protocol="sqs", Endpoint=queue_arn, Attributes=attributes)

    def receive(self, url: str) -> list[Any]:
        """Receive and delete the messages of a queue, as JSON."""
        sqs, bodies = moto_client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def polled(self, connection_id: str, *, ago: timedelta = timedelta(), **fields: Any) -> None:
        """Write the row of a polled connection."""
        at = datetime.now(UTC) - ago
        cursor = Cursor(last_success_at=at, baseline_completed_at=at)
        row = row_from_state(ConnectionState(connection_id=connection_id, revision=1, cursor=cursor, **fields))
        moto_client("dynamodb").put_item(TableName="ConnectionTable", Item=to_item(row))

    def write(self, move: OrderWrite, *, connection_id: str = CONNECTION) -> None:
        """Write an order's row."""
        client = moto_client("dynamodb")
        client.transact_write_items(TransactItems=[OrderTable(client, "OrderTable").write_action(connection_id, move)])

    def write_alert(
        self, alert: Alert, *, ago: timedelta = timedelta(), sent: bool = True, held_until: datetime | None = None
    ) -> None:
        """Write an alert's row."""
        client = moto_client("dynamodb")
        table = AlertTable(client, "AlertTable")
        with set_back(ago):
            action: Any = table.put_action(alert, deliver_after=held_until)
            client.put_item(TableName="AlertTable", Item=action["Put"]["Item"])  # quicker than a transaction of moto's
            if sent:
                table.mark_sent({alert.key: "message-1"})

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as left:
            run(arguments)
        out, err = self.capture.readouterr()
        return Ran(left.value.code, out, err)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """Run a command with --json and return the document."""
        ran = self.run(*arguments, "--json", stdin=stdin)
        assert (ran.code, ran.err) == (0, "")
        return json.loads(ran.out)


RAW = {"RawMessageDelivery": "true"}


def vendor() -> Trackstar:
    """A simulated Trackstar with one shop and the real clock."""
    clock = SystemClock()
    shop = Shop(CONNECTION, access_token=TOKEN, clock=clock)
    shop.place({"id": "o1", "order_number": "#1", "status": "open"})
    shop.sync()
    return Trackstar(API_KEY, [shop], clock, rate_limit=1000)
