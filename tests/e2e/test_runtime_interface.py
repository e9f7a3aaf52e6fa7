"""Every handler as it is packaged, under the Lambda runtime interface, with the files of `events/`.

The environment is the deployed function's own. Only the tables, the queue and the topic are replaced by ones that
nothing else reads, so that the functions that are deployed do not do this test's work.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.sam import PROJECT, build, this_architecture
from tests.e2e.conftest import ACCESS_TOKEN, API_KEY, CONNECTION_ID
from tests.e2e.runtime_interface import Result, RuntimeInterface
from tests.support.cloud import Tables, create_tables
from tests.support.slack_channel import SlackChannel

pytestmark = pytest.mark.slow  # the deployed functions do the same work in test_operator.py

EVENTS = PROJECT / "events"

type Invoke = Callable[..., tuple[list[Result], str]]


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
def invoke(cloud: LocalCloud, deployed: Outputs, apart: Apart, tmp_path: Path) -> Invoke:
    """Starts a function by the name of its folder and sends it events: the results and its output."""
    built = build(this_architecture()).parent

    def invoke(name: str, *events: Any) -> tuple[list[Result], str]:
        function_name = str(getattr(deployed, f"{name}_function_name"))
        configuration = cloud.client("lambda").get_function_configuration(FunctionName=function_name)
        variables = cloud.function_environment(function_name)
        replaced = {key: value for key, value in apart.variables.items() if key in variables}
        with RuntimeInterface(
            function=built / f"{name.title().replace('_', '')}Function",
            layer=built / "OrderwatchLayer",
            environment={**cloud.environment(), **variables, **replaced},
            scratch=tmp_path,
            timeout=configuration["Timeout"],
        ) as function:
            return [function.invoke(each) for each in events], function.output()

    return invoke


def test_dispatch_polls_queues_each_shop_once_or_those_in_the_event(invoke: Invoke, apart: Apart) -> None:
    by_hand = event("dispatch_polls_manual")
    results, _ = invoke("dispatch_polls", event("dispatch_polls_schedule"), by_hand)
    assert [result.error for result in results] == [None, None]
    queued = [body["connection_id"] for body in apart.receive(apart.poll_queue_url)]
    assert sorted(queued) == sorted([CONNECTION_ID, *by_hand["connection_ids"]])


def test_poll_orders_reads_the_shop_and_logs_no_secret(invoke: Invoke, apart: Apart) -> None:
    [result], output = invoke("poll_orders", event("poll_orders_message"))
    assert result.payload == {"batchItemFailures": []}, output
    assert [row["order_number"]["S"] for row in apart.tables.rows("OrderTable")] == ["HC-10482"]
    assert [row["connection_id"]["S"] for row in apart.tables.rows("ConnectionTable")] == [CONNECTION_ID]
    assert "orderwatch" in output
    assert ACCESS_TOKEN not in output
    assert API_KEY not in output


def test_publish_alerts_sends_the_new_alert_and_marks_it(invoke: Invoke, apart: Apart) -> None:
    alert_id = apart.put_alert()
    [result, not_ours], output = invoke("publish_alerts", event("publish_alerts_stream"), {})
    assert (result.payload, not_ours.error) == ({"batchItemFailures": []}, "KeyError"), output
    assert [body["alert_id"] for body in apart.receive(apart.inbox_url)] == [alert_id]
    assert [row["state"]["S"] for row in apart.tables.rows("AlertTable")] == ["sent"]


def test_redrive_alerts_sends_what_stayed_pending(invoke: Invoke, apart: Apart) -> None:
    alert_id = apart.put_alert()
    [result], output = invoke("redrive_alerts", event("redrive_alerts_schedule"))
    assert result.payload == {"sent": 1, "unsent": 0}, output
    assert [body["alert_id"] for body in apart.receive(apart.inbox_url)] == [alert_id]


def test_send_summary_writes_the_summary_of_a_day_once(invoke: Invoke, apart: Apart) -> None:
    results, output = invoke("send_summary", *[event("send_summary_schedule")] * 2)
    assert [result.payload["is_written"] for result in results] == [True, False], output
    assert [row["kind"]["S"] for row in apart.tables.rows("AlertTable")] == ["summary.daily"]


def test_post_to_slack_posts_an_alert_once(invoke: Invoke, slack_channel: SlackChannel) -> None:
    # The deployed function posts to the same channel, whenever its own queue has something.
    def posts() -> int:
        return sum("HC-10482" in json.dumps(message) for message in slack_channel.messages)

    before = posts()
    results, output = invoke("post_to_slack", *[event("post_to_slack_message")] * 2)
    assert [result.payload for result in results] == [{"batchItemFailures": []}] * 2, output
    assert posts() == before + 1


def test_every_event_is_used_here() -> None:
    used = Path(__file__).read_text()
    assert [path.stem for path in EVENTS.glob("*.json") if f'event("{path.stem}")' not in used] == []
