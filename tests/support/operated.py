"""A stack on the local cloud for tests of the operator's commands: the template without its functions."""

import io
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import pytest

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
from orderwatch_cli.stack import Outputs, Stack, find_stack
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, SystemClock, Trackstar
from tests.support.clocks import set_back
from tests.support.template import load_template

API_KEY = "key-of-the-operator"
TOKEN = "token-of-conn-a"
CONNECTION = "conn_a"
WEBHOOK = "https://hooks.slack.example/services/very-secret"
_KEPT = {
    *("AWS::DynamoDB::Table", "AWS::SNS::Topic", "AWS::SNS::Subscription", "AWS::SQS::Queue"),
    "AWS::Logs::LogGroup",
}
_ALARM = "PollDeadLetterAlarm"
_SCHEDULES = (
    "DispatchPollsFunctionPollSchedule",
    "RedriveAlertsFunctionRedriveSchedule",
    "SendSummaryFunctionSchedule",
)


class Ran(NamedTuple):
    """The result of a command."""

    code: object
    out: str
    err: str


def template_without_functions() -> str:
    """The template with one function instead of all; the outputs name invented functions."""
    template = load_template()
    resources = {name: each for name, each in template["Resources"].items() if each["Type"] in _KEPT}
    schedules = {name: _schedule() for name in _SCHEDULES}
    outputs = {name: _without_function(name, output) for name, output in template["Outputs"].items()}
    kept = {key: template[key] for key in ("Parameters", "Conditions")}
    others = {"PollOrdersFunction": _function(), _ALARM: template["Resources"][_ALARM]}
    return json.dumps(kept | {"Resources": resources | schedules | others, "Outputs": outputs})


def _function() -> dict[str, Any]:
    """A function that is never invoked."""
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/none",
        "Code": {"ZipFile": "def handler(event, context): ..."},
    }
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def _schedule() -> dict[str, Any]:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:none"
    properties = {
        "ScheduleExpression": "rate(15 minutes)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": arn, "RoleArn": "arn:aws:iam::000000000000:role/none"},
    }
    return {"Type": "AWS::Scheduler::Schedule", "Properties": properties}


def _without_function(name: str, output: dict[str, Any]) -> dict[str, Any]:
    return {"Value": "none"} if name.endswith("FunctionName") else output


@dataclass(frozen=True)
class Operated:
    """A stack, a simulated Trackstar, and a shop."""

    cloud: LocalCloud
    name: str
    trackstar: Trackstar
    shop: Shop
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def deployed(
        cls,
        cloud: LocalCloud,
        url: str,
        trackstar: Trackstar,
        capture: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> "Operated":
        name = f"stack-{uuid.uuid4().hex[:8]}"
        parameters = {"TrackstarBaseUrl": url, "ParameterPrefix": f"/{name}", "SlackEnabled": "true"}
        cloudformation = cloud.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=template_without_functions(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        return cls(cloud, name, trackstar, trackstar.shops[0], capture, monkeypatch)

    @cached_property
    def stack(self) -> Stack:
        with Aws(endpoint_url=self.cloud.endpoint) as aws:
            return find_stack(aws, self.name)

    @property
    def outputs(self) -> Outputs:
        return self.stack.outputs

    def queue_url(self, name: str) -> str:
        return self.stack.resources[name].id

    def in_good_order(self) -> None:
        """Sets up everything that doctor checks."""
        self.cloud.put_secret(f"/{self.name}/trackstar/api-key", API_KEY)
        self.cloud.put_secret(f"/{self.name}/slack/webhook-url", WEBHOOK)
        self.connect(CONNECTION, TOKEN)
        self.polled(CONNECTION)
        self.cloud.subscribe_queue(self.outputs.alert_topic_arn)
        self.cloud.subscribe_queue(self.outputs.ops_topic_arn)

    def connect(self, connection_id: str, token: str) -> None:
        self.cloud.put_secret(f"/{self.name}/connections/{connection_id}/access-token", token)

    def forget(self, parameter: str) -> None:
        self.cloud.client("ssm").delete_parameter(Name=f"/{self.name}/{parameter}")

    def has(self, parameter: str) -> bool:
        found = self.cloud.client("ssm").get_parameters(Names=[f"/{self.name}/{parameter}"])
        return bool(found["Parameters"])

    def polled(self, connection_id: str, *, ago: timedelta = timedelta(), **fields: Any) -> None:
        """Writes the row of a polled connection."""
        at = datetime.now(UTC) - ago
        cursor = Cursor(last_success_at=at, baseline_completed_at=at)
        row = row_from_state(ConnectionState(connection_id=connection_id, revision=1, cursor=cursor, **fields))
        self.cloud.client("dynamodb").put_item(TableName=self.outputs.connection_table_name, Item=to_item(row))

    def write(self, move: OrderWrite, *, connection_id: str = CONNECTION) -> None:
        """Writes an order's row."""
        client = self.cloud.client("dynamodb")
        action: Any = OrderTable(client, self.outputs.order_table_name).write_action(connection_id, move)
        client.transact_write_items(TransactItems=[action])

    def write_alert(self, alert: Alert, *, ago: timedelta = timedelta(), sent: bool = True) -> None:
        """Writes an alert's row."""
        client = self.cloud.client("dynamodb")
        table = AlertTable(client, self.outputs.alert_table_name)
        with set_back(ago):
            action: Any = table.put_action(alert)
            client.transact_write_items(TransactItems=[action])
            if sent:
                table.mark_sent(alert.key, message_id="message-1")

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Runs a command."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        where = ("--stack-name", self.name, "--endpoint-url", self.cloud.endpoint)
        with pytest.raises(SystemExit) as left:
            run([*arguments, *where])
        out, err = self.capture.readouterr()
        return Ran(left.value.code, out, err)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """Runs a command with --json and returns the document."""
        ran = self.run(*arguments, "--json", stdin=stdin)
        assert (ran.code, ran.err) == (0, "")
        return json.loads(ran.out)


def vendor() -> Trackstar:
    """A simulated Trackstar with one shop and the real clock."""
    clock = SystemClock()
    shop = Shop(CONNECTION, access_token=TOKEN, clock=clock)
    shop.place({"id": "o1", "order_number": "#1", "status": "open"})
    shop.sync()
    return Trackstar(API_KEY, [shop], clock, rate_limit=1000)
