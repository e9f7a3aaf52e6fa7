"""Every handler as it is packaged, under the Lambda runtime interface, with the files of `events/`.

The environment is the deployed function's own. Only the tables, the queue and the topic are replaced by ones that
nothing else reads, so that the functions that are deployed do not do this test's work.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.sam import PROJECT, build, this_architecture
from tests.e2e.conftest import ACCESS_TOKEN, API_KEY, CONNECTION_ID, SlackChannel
from tests.e2e.runtime_interface import RuntimeInterface
from tests.support.cloud import Tables, create_tables

EVENTS = PROJECT / "events"
FUNCTIONS = ("dispatch_polls", "poll_orders", "publish_alerts", "redrive_alerts", "send_summary", "post_to_slack")

type Start = Callable[[str], AbstractContextManager[RuntimeInterface]]


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@dataclass(frozen=True)
class Apart:
    """Tables, a queue and a topic with an inbox, apart from the deployed stack."""

    cloud: LocalCloud
    tables: Tables
    poll_queue_url: str
    topic_arn: str
    inbox_url: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "ORDER_TABLE_NAME": self.tables.names["OrderTable"],
            "CONNECTION_TABLE_NAME": self.tables.names["ConnectionTable"],
            "ALERT_TABLE_NAME": self.tables.names["AlertTable"],
            "POLL_QUEUE_URL": self.poll_queue_url,
            "PACE_TABLE_NAME": self.tables.names["PaceTable"],
            "ALERT_TOPIC_ARN": self.topic_arn,
        }

    def put_alert(self) -> str:
        """Put the pending alert of the stream's event; its id."""
        row = event("publish_alerts_stream")["Records"][0]["dynamodb"]["NewImage"]
        self.tables.client.put_item(TableName=self.tables.names["AlertTable"], Item=row)
        return str(row["alert_id"]["S"])

    def receive(self, queue_url: str) -> list[Any]:
        sqs, bodies = self.cloud.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@pytest.fixture
def apart(cloud: LocalCloud) -> Iterator[Apart]:
    name = f"apart-{uuid.uuid4().hex}"
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    queue_url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    topic_arn = sns.create_topic(Name=name)["TopicArn"]
    inbox_url = cloud.subscribe_queue(topic_arn)
    for tables in create_tables(cloud.client("dynamodb")):
        yield Apart(cloud, tables, queue_url, topic_arn, inbox_url)


@pytest.fixture
def start(cloud: LocalCloud, deployed: Outputs, apart: Apart, tmp_path: Path) -> Start:
    """Starts a function by the name of its folder."""
    built = build(this_architecture()).parent

    def start(name: str) -> RuntimeInterface:
        function_name = str(getattr(deployed, f"{name}_function_name"))
        configuration = cloud.client("lambda").get_function_configuration(FunctionName=function_name)
        variables = cloud.function_environment(function_name)
        replaced = {key: value for key, value in apart.variables.items() if key in variables}
        return RuntimeInterface(
            function=built / f"{name.title().replace('_', '')}Function",
            layer=built / "OrderwatchLayer",
            environment={**cloud.environment(), **variables, **replaced},
            scratch=tmp_path,
            timeout=configuration["Timeout"],
        )

    return start


def test_dispatch_polls_queues_each_shop_once_a_tick(start: Start, apart: Apart) -> None:
    with start("dispatch_polls") as function:
        result = function.invoke(event("dispatch_polls_schedule"))
    assert result.error is None
    assert apart.receive(apart.poll_queue_url) == [{"connection_id": CONNECTION_ID}]


def test_dispatch_polls_queues_the_connections_in_the_event(start: Start, apart: Apart) -> None:
    by_hand = event("dispatch_polls_manual")
    with start("dispatch_polls") as function:
        result = function.invoke(by_hand)
    assert result.error is None
    assert [body["connection_id"] for body in apart.receive(apart.poll_queue_url)] == by_hand["connection_ids"]


def test_poll_orders_reads_the_shop_and_keeps_what_it_saw(start: Start, apart: Apart) -> None:
    with start("poll_orders") as function:
        result = function.invoke(event("poll_orders_message"))
        output = function.output()
    assert result.payload == {"batchItemFailures": []}, output
    assert [row["order_number"]["S"] for row in apart.tables.rows("OrderTable")] == ["HC-10482"]
    assert [row["connection_id"]["S"] for row in apart.tables.rows("ConnectionTable")] == [CONNECTION_ID]


def test_publish_alerts_sends_the_new_alert_and_marks_it(start: Start, apart: Apart) -> None:
    alert_id = apart.put_alert()
    with start("publish_alerts") as function:
        result = function.invoke(event("publish_alerts_stream"))
        output = function.output()
    assert result.payload == {"batchItemFailures": []}, output
    assert [body["alert_id"] for body in apart.receive(apart.inbox_url)] == [alert_id]
    assert [row["state"]["S"] for row in apart.tables.rows("AlertTable")] == ["sent"]


def test_redrive_alerts_sends_what_stayed_pending(start: Start, apart: Apart) -> None:
    alert_id = apart.put_alert()
    with start("redrive_alerts") as function:
        result = function.invoke(event("redrive_alerts_schedule"))
        output = function.output()
    assert result.payload == {"sent": 1, "unsent": 0}, output
    assert [body["alert_id"] for body in apart.receive(apart.inbox_url)] == [alert_id]


def test_send_summary_writes_the_summary_of_a_day_once(start: Start, apart: Apart) -> None:
    with start("send_summary") as function:
        results = [function.invoke(event("send_summary_schedule")) for _ in range(2)]
        output = function.output()
    assert [result.payload["is_written"] for result in results] == [True, False], output
    assert [row["kind"]["S"] for row in apart.tables.rows("AlertTable")] == ["summary.daily"]


def test_post_to_slack_posts_an_alert_once(start: Start, slack_channel: SlackChannel) -> None:
    # The deployed function posts to the same channel, whenever its own queue has something.
    def posts() -> int:
        return sum("HC-10482" in json.dumps(message) for message in slack_channel.messages)

    before = posts()
    with start("post_to_slack") as function:
        results = [function.invoke(event("post_to_slack_message")) for _ in range(2)]
        output = function.output()
    assert [result.payload for result in results] == [{"batchItemFailures": []}] * 2, output
    assert posts() == before + 1


def test_a_poll_logs_no_secret(start: Start, apart: Apart) -> None:
    with start("poll_orders") as function:
        function.invoke(event("poll_orders_message"))
        output = function.output()
    assert "orderwatch" in output
    assert ACCESS_TOKEN not in output
    assert API_KEY not in output


def test_an_event_that_is_none_of_ours_is_an_error(start: Start) -> None:
    with start("publish_alerts") as function:
        assert function.invoke({}).error == "KeyError"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_event_and_a_folder(name: str) -> None:
    assert list(EVENTS.glob(f"{name}_*.json"))
    assert (PROJECT / "functions" / name / "app.py").exists()


def test_every_event_is_used_here() -> None:
    used = Path(__file__).read_text()
    assert [path.stem for path in EVENTS.glob("*.json") if f'event("{path.stem}")' not in used] == []
