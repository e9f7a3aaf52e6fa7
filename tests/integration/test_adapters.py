"""The adapters of SSM, SQS and SNS, and the shared rate limit, on moto: what only the services' own rules can show."""

import json
from collections import Counter

import boto3
import pytest

from orderwatch import clock
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.aws.rate_limit import TOPIC_LIMIT, RateLimiter, Row
from orderwatch.aws.sns import Subscriptions
from orderwatch.errors import ParameterMissingError
from orderwatch.rendering.sns import render
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock
from tests.support.cloud import Inbox, Tables

PREFIX = "/orderwatch"


def put(name: str, value: str, kind: str = "SecureString") -> None:
    boto3.client("ssm").put_parameter(Name=name, Value=value, Type=kind)  # type: ignore[arg-type]


def test_parameters_are_listed_by_path_and_decrypted(aws: None) -> None:
    names = [f"conn_{number}" for number in range(6)]
    for name in names:
        put(f"{PREFIX}/connections/{name}/access-token", "secret")
        put(f"{PREFIX}/connections/{name}/name", f"Shop {name}", "String")
    put(f"{PREFIX}-test/connections/conn_x/access-token", "secret")
    parameters = Parameters(boto3.client("ssm"), PREFIX)
    (first, token), (second, end) = parameters.connection_page(None), parameters.connection_page("10")
    assert ([*first, *second], token, end) == (names, "10", None), "moto has ten a page"
    assert parameters.connected([*names, "conn_x"]) == names
    assert [each.name for each in parameters.connections()] == [f"Shop {name}" for name in names], "two pages"
    shop = parameters.connection("conn_5")
    assert (shop.access_token.get_secret_value(), shop.name) == ("secret", "Shop conn_5")
    with pytest.raises(ParameterMissingError, match=f"{PREFIX}/trackstar/api-key is missing"):
        parameters.api_key()
    put(f"{PREFIX}/trackstar/api-key", "secret-key")
    assert parameters.api_key().get_secret_value() == "secret-key"


def test_each_connection_is_a_message_group_without_deduplication(aws: None) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="poll.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    queue = PollQueue(sqs, url)
    requested = queue.request_polls([f"conn_{number:02}" for number in range(11)])
    queue.request_poll("conn_00")
    received: Counter[str] = Counter()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            name = json.loads(message["Body"])["connection_id"]
            received[name] += 1
            assert received[name] > 1 or requested[name] == message["MessageId"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert received == Counter({**dict.fromkeys(requested, 1), "conn_00": 2})


def test_sns_accepts_a_rendered_message_with_its_attributes(inbox: Inbox) -> None:
    alert = alert_of("1")
    [message_id] = inbox.topic.publish([render(alert)])
    assert message_id
    assert [body["alert_id"] for body in inbox.receive()] == [alert.alert_id]


def test_more_than_one_page_of_subscriptions_is_read(aws: None) -> None:
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    for number in range(101):
        sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=f"someone-{number}@example.com")
    assert len(Subscriptions(sns).of(arn)) == 101
    sns.delete_topic(TopicArn=arn)
    assert Subscriptions(sns).of(arn) == []


def test_two_senders_share_the_rate_limit_of_the_template(tables: Tables) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    row = Row(tables.client, tables.names["PaceTable"], "arn")
    limiters = [RateLimiter(TOPIC_LIMIT, row) for _ in range(2)]
    assert [limiter.acquire(5) for limiter in (*limiters, *limiters)] == [5] * 4
    assert fake_clock.slept == [1.0] * 3
