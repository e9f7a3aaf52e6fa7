"""The Parameter Store and the PollQueue, against moto."""

import json
import math
from collections import Counter
from collections.abc import Collection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

import functions.dispatch_polls.app as dispatch_polls
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.queues import BATCH, PollQueue
from orderwatch.errors import ParameterInvalidError, ParameterMissingError, PollsNotRequestedError
from tests.support.lambda_context import lambda_context
from tests.support.template import load_template

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

PREFIX = "/orderwatch"


def put(name: str, value: str, kind: str = "SecureString") -> None:
    boto3.client("ssm").put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type=kind, Overwrite=True)  # type: ignore[arg-type]


@pytest.fixture
def parameters(aws: None) -> Parameters:
    return Parameters(boto3.client("ssm"), f"{PREFIX}/")


def test_secrets_are_decrypted_and_hidden_from_repr(parameters: Parameters) -> None:
    put("trackstar/api-key", "very-secret-key")
    put("slack/webhook-url", "https://hooks.example/very-secret")
    put("connections/conn_a/access-token", "very-secret-token")
    shop = parameters.connection("conn_a")
    assert parameters.api_key().get_secret_value() == "very-secret-key"
    assert parameters.slack_webhook_url().get_secret_value() == "https://hooks.example/very-secret"
    assert shop.access_token.get_secret_value() == "very-secret-token"
    assert "very-secret" not in f"{parameters!r} {shop!r} {shop} {parameters.api_key()!r}"


def test_the_name_of_a_shop_is_optional(parameters: Parameters) -> None:
    for connection_id in ("conn_a", "conn_b"):
        put(f"connections/{connection_id}/access-token", "token")
    put("connections/conn_a/name", "Nordic Outdoor", "String")
    assert parameters.connection("conn_a").name == "Nordic Outdoor"
    assert parameters.connection("conn_b").name is None


def test_invalid_settings_of_a_shop_affect_only_themselves(
    parameters: Parameters,
) -> None:
    for connection_id in ("conn_a", "conn_b", "conn_c"):
        put(f"connections/{connection_id}/access-token", "token")
    put("connections/conn_a/settings", '{"time_zone": "Asia/Tokyo", "stuck_days": 3}', "String")
    put("connections/conn_b/settings", "{", "String")
    assert parameters.connection("conn_a").settings.time_zone == "Asia/Tokyo"
    assert parameters.connection("conn_a").settings_flaw is None
    assert parameters.connection("conn_b").settings.time_zone is None
    assert parameters.connection("conn_b").settings_flaw == "no JSON object"
    assert parameters.connection("conn_c").settings_flaw is None


def test_a_missing_parameter_is_reported_with_the_command(parameters: Parameters) -> None:
    put("connections/conn_a/name", "Nordic Outdoor", "String")
    for read, name, command in (
        (parameters.api_key, "trackstar/api-key", "connect-trackstar"),
        (parameters.slack_webhook_url, "slack/webhook-url", "connect-slack"),
        (lambda: parameters.connection("conn_a"), "connections/conn_a/access-token", "connect conn_a"),
        (lambda: parameters.connection("conn_b"), "connections/conn_b/access-token", "connect conn_b"),
    ):
        with pytest.raises(ParameterMissingError, match=f"{name} is missing: orderwatch {command}$") as caught:
            read()
        assert caught.value.name == f"{PREFIX}/{name}"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "orderwatch.localhost:8080"])
def test_a_local_webhook_can_use_http(parameters: Parameters, host: str) -> None:
    put("slack/webhook-url", f"http://{host}/services/very-secret")
    assert host in parameters.slack_webhook_url().get_secret_value()


@pytest.mark.parametrize("host", ["hooks.slack.com", "localhost.example.com", "evil-localhost", ".localhost"])
def test_any_other_webhook_must_use_https(parameters: Parameters, host: str) -> None:
    put("slack/webhook-url", f"http://{host}/services/very-secret")
    with pytest.raises(ParameterInvalidError, match="not the https URL") as caught:
        parameters.slack_webhook_url()
    assert "very-secret" not in str(caught.value)


def test_the_connections_are_those_with_an_access_token(parameters: Parameters) -> None:
    for number in range(23):
        put(f"connections/conn_{number:02}/access-token", "token")
        put(f"connections/conn_{number:02}/name", "Name", "String")
    put("connections/conn_without_token/name", "Name", "String")
    assert parameters.connection_ids() == [f"conn_{number:02}" for number in range(23)]


def test_listing_connections_reads_no_values(aws: None) -> None:
    client, called = boto3.client("ssm"), Counter[str]()
    client.meta.events.register("before-send.ssm", lambda event_name, **_: called.update([event_name]))
    for number in range(11):
        put(f"connections/conn_{number:02}/access-token", "token")
    assert len(Parameters(client, PREFIX).connection_ids()) == 11
    assert called.keys() == {"before-send.ssm.DescribeParameters"}


def test_connections_of_another_prefix_are_ignored(parameters: Parameters) -> None:
    put("connections/conn_a/access-token", "token")
    for prefix in ("/orderwatch-test", "/other/orderwatch"):
        name = f"{prefix}/connections/conn_b/access-token"
        boto3.client("ssm").put_parameter(Name=name, Value="token", Type="SecureString")
    assert parameters.connection_ids() == ["conn_a"]


def test_without_connections_the_list_is_empty(parameters: Parameters) -> None:
    assert parameters.connection_ids() == []


class PatientlyAskedSsm:
    """SSM as it pages through a large account: pages without a match in between, and a bound on their size."""

    def __init__(self, *pages: Collection[str]) -> None:
        self.pages = pages
        self.requests: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> "PatientlyAskedSsm":
        assert operation == "describe_parameters"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        return [{"Parameters": [{"Name": f"{PREFIX}/connections/{name}"} for name in page]} for page in self.pages]


def test_a_large_account_is_read_to_its_last_page(aws: None) -> None:
    ssm = PatientlyAskedSsm((), ("conn_b/access-token", "conn_b/name"), (), ("conn_a/access-token",), ())
    assert Parameters(cast("SSMClient", ssm), PREFIX).connection_ids() == ["conn_a", "conn_b"]
    assert [request["PaginationConfig"] for request in ssm.requests] == [{"PageSize": 50}]


def test_a_new_connection_is_listed_at_once(parameters: Parameters) -> None:
    put("connections/conn_a/access-token", "token")
    assert parameters.connection_ids() == ["conn_a"]
    put("connections/conn_b/access-token", "token")
    assert parameters.connection_ids() == ["conn_a", "conn_b"]


def test_a_secret_is_cached_until_it_is_dropped(parameters: Parameters) -> None:
    put("trackstar/api-key", "old")
    put("connections/conn_a/access-token", "old")

    def secrets() -> list[str]:
        return [
            parameters.api_key().get_secret_value(),
            parameters.connection("conn_a").access_token.get_secret_value(),
        ]

    assert secrets() == ["old", "old"]
    put("trackstar/api-key", "new")
    put("connections/conn_a/access-token", "new")
    assert secrets() == ["old", "old"]
    parameters.forget()
    assert secrets() == ["new", "new"]


# The PollQueue


@pytest.fixture
def queue_url(aws: None) -> str:
    properties = load_template()["Resources"]["PollQueue"]["Properties"]
    timeout = str(properties["VisibilityTimeout"])
    queue = boto3.client("sqs").create_queue(
        QueueName="poll.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": timeout}
    )
    return queue["QueueUrl"]


def received(queue_url: str) -> list[str]:
    messages = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"])["connection_id"] for message in messages]


def test_each_connection_is_its_own_message_group(queue_url: str) -> None:
    queue = PollQueue(boto3.client("sqs"), queue_url)
    queue.request_poll("conn_a")
    assert received(queue_url) == ["conn_a"]
    queue.request_poll("conn_a")
    queue.request_poll("conn_b")
    assert received(queue_url) == ["conn_b"]


def test_two_requests_for_one_connection_are_two_messages(queue_url: str) -> None:
    queue = PollQueue(boto3.client("sqs"), queue_url)
    queue.request_poll("conn_a")
    queue.request_poll("conn_a")
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "2"


def shops(count: int) -> list[str]:
    return [f"conn_{number:02}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_ten_polls_need_one_request(queue_url: str, count: int) -> None:
    sent: Counter[str] = Counter()
    client = boto3.client("sqs")
    client.meta.events.register("before-send.sqs", lambda event_name, **_: sent.update([event_name]))
    asked = PollQueue(client, queue_url).request_polls(shops(count))
    assert sent.total() == sent["before-send.sqs.SendMessageBatch"] == math.ceil(count / BATCH)
    assert list(asked) == shops(count)
    assert len(set(asked.values())) == count


def test_the_id_of_a_poll_is_that_of_its_message(queue_url: str) -> None:
    asked = PollQueue(boto3.client("sqs"), queue_url).request_polls(shops(3))
    messages = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)["Messages"]
    come = {json.loads(message["Body"])["connection_id"]: message["MessageId"] for message in messages}
    assert come == asked


def test_a_repeated_connection_is_polled_once(queue_url: str) -> None:
    PollQueue(boto3.client("sqs"), queue_url).request_polls(["conn_a", "conn_b", "conn_a"])
    assert received(queue_url) == ["conn_a", "conn_b"]


class RefusingSqs:
    """SQS that takes no message of some shops, and no request that has one of some others."""

    def __init__(self, *, refused: Collection[str] = (), failing: Collection[str] = ()) -> None:
        self.refused, self.failing = refused, failing
        self.taken: list[str] = []

    def as_client(self) -> "SQSClient":
        return cast("SQSClient", self)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        groups = {entry["Id"]: entry["MessageGroupId"] for entry in request["Entries"]}
        if not set(groups.values()).isdisjoint(self.failing):
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "down"}}, "SendMessageBatch")
        failed = [name for name, group in groups.items() if group in self.refused]
        successful = [name for name in groups if name not in failed]
        self.taken += [groups[name] for name in successful]
        return {
            "Successful": [{"Id": name, "MessageId": f"message-of-{groups[name]}"} for name in successful],
            "Failed": [{"Id": name, "Code": "InternalError", "SenderFault": False} for name in failed],
        }


@pytest.mark.parametrize(
    ("refusing", "missed"),
    [
        (RefusingSqs(refused={"conn_03", "conn_20"}), ["conn_03", "conn_20"]),
        (RefusingSqs(failing={"conn_05"}), shops(10)),
    ],
    ids=["single messages", "a whole request"],
)
def test_a_refused_message_does_not_affect_other_connections(refusing: RefusingSqs, missed: list[str]) -> None:
    asked = PollQueue(refusing.as_client(), "url").request_polls(shops(25))
    assert list(asked) == refusing.taken == [name for name in shops(25) if name not in missed]
    assert asked["conn_10"] == "message-of-conn_10"


def test_a_single_refused_poll_request_is_an_error(queue_url: str) -> None:
    queue = PollQueue(RefusingSqs(refused={"conn_a"}).as_client(), queue_url)
    with pytest.raises(PollsNotRequestedError, match="conn_a"):
        queue.request_poll("conn_a")


DISPATCH_ENVIRONMENT = {
    "PARAMETER_PREFIX": PREFIX,
    "TRACKSTAR_BASE_URL": "https://trackstar.invalid",
    "MAX_POLL_GAP_MINUTES": "15",
    "SYNC_MINUTES": "0",
    "CONNECTION_TABLE_NAME": "connections",
    "POLL_QUEUE_URL": "url",
    "TIME_ZONE": "UTC",
}


def test_a_scheduled_run_fails_with_the_refused_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in DISPATCH_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    sqs = RefusingSqs(refused={"conn_01"})
    adapters = SimpleNamespace(queue=PollQueue(sqs.as_client(), "url"))
    monkeypatch.setattr(dispatch_polls, "_adapters", lambda settings: adapters)
    with pytest.raises(PollsNotRequestedError) as caught:
        dispatch_polls.handler({"connection_ids": shops(3)}, lambda_context())
    assert caught.value.connection_ids == ["conn_01"]
    assert sqs.taken == ["conn_00", "conn_02"]
