"""Least privilege: the handlers' calls equal the permissions of their roles, in both directions.

No emulator enforces IAM. So every handler is run through all its paths against moto, each AWS call is noted with the
action and the resource that AWS would check, and the notes are compared with the roles of template.yaml.
"""

import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from orderwatch.action_links import OrderKey, sign
from tests.support.account import ACTION_KEY, FUNCTIONS, Account, FakeSlack, account, inserts, order
from tests.support.alerts import alert_of
from tests.support.lambda_context import sqs_event
from tests.support.permissions import (
    CONDITIONS,
    REGION,
    RESOURCES,
    Call,
    arn,
    arn_of,
    granted,
    needed_of_the_key,
    role_of,
    violations,
)
from tests.support.template import ROOT, of_type

SAM_PYTHON = ROOT / ".tools/sam/bin/python"
GRANTS = granted()
GOVERNED = frozenset({"HasKmsKey", "HasVpc"})
"""The conditions of a governed account on which permissions depend."""


def made_in_a_vpc() -> Iterator[Call]:
    """What Lambda does for functions in a VPC, by AWSLambdaVPCAccessExecutionRole."""
    actions = ("CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets")
    for function in FUNCTIONS:
        for action in (*actions, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"):
            yield Call(role_of(function), f"ec2:{action}", "*")


def made_by_aws() -> Iterator[Call]:
    """What AWS itself does with the roles, which no handler can trigger."""
    for function in FUNCTIONS:
        # The runtime writes the log (LoggingConfig), and traces where Tracing is Active.
        group = arn_of(function.replace("Function", "LogGroup")).removesuffix("*")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield Call(role_of(function), action, f"{group}log-stream:2026/01/05/[1]abc")
        for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"):
            yield Call(role_of(function), action, "*")
    # An event source mapping polls its queue, or the shards of its stream.
    for role, queue in (("PollOrdersRole", "PollQueue"), ("PostToSlackRole", "SlackQueue")):
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            yield Call(role, action, arn_of(queue))
    for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"):
        yield Call("PublishAlertsRole", f"dynamodb:{name}", f"{arn_of('AlertTable')}/stream/2026-01-05T12:00:00.000")
    # Failed records, and scheduled runs that failed or could not be delivered, go to a queue.
    yield Call("PublishAlertsRole", "sqs:SendMessage", arn_of("StreamFailureQueue"))
    yield Call("ScheduleRole", "sqs:SendMessage", arn_of("ScheduleDeadLetterQueue"))
    for name in ("DispatchPolls", "RedriveAlerts", "SendSummary"):
        yield Call(f"{name}Role", "sqs:SendMessage", arn_of("ScheduleDeadLetterQueue"))
        yield Call("ScheduleRole", "lambda:InvokeFunction", arn_of(f"{name}Function"))


def run_every_path(account: Account) -> None:
    """Run each handler on every path that calls AWS; earlier functions create the data of later ones."""
    for _ in range(2):  # it finds the shop, then polls it
        assert account.invoke("DispatchPollsFunction", {})["connection_ids"] == ["conn_a"]
    for number in range(1000, 1120):  # more than one transaction holds
        account.shop.place(order(str(number)))
    account.shop.sync()
    account.poll(seconds_left=1.0)
    account.poll()
    account.add_problem_order("2")
    account.poll()
    pending = account.pending()
    assert account.invoke("PublishAlertsFunction", inserts(pending)) == {"batchItemFailures": []}
    account.add_problem_order("3")
    account.poll()
    account.hold(alert_of("held", status="backordered", product_ids=("p1",)))
    account.clock.seconds += timedelta(minutes=30).total_seconds()
    account.subscribe("OpsTopic")
    assert account.invoke("RedriveAlertsFunction", {})["sent"] == 3
    assert {key.connection_id for key in account.pending()} == {"AlertTopic", "OpsTopic"}
    sum_up(account)
    post_to_slack(account)
    take_an_order(account)


def sum_up(account: Account) -> None:
    """One with a product that orders wait for, and one that compares itself with it."""
    account.shop.place(order("4", status="backordered"))
    account.shop.sync()
    account.poll()
    [first] = [account.invoke("SendSummaryFunction", {})["alert"]["summary"]["shops"]]
    assert first[0]["products"][0]["orders"] == 1
    account.shop.move("4", "fulfilled")
    account.shop.sync()
    account.poll()
    assert account.invoke("SendSummaryFunction", {"send": False})["alert"]["summary"]["changes"]["cleared"] == 1


def post_to_slack(account: Account) -> None:
    bodies = [alert_of(order_id).model_dump_json() for order_id in ("posted", FakeSlack.REFUSED)]
    answer = account.invoke("PostToSlackFunction", sqs_event(bodies[0], bodies[0], bodies[1]))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-2"}]}


def take_an_order(account: Account) -> None:
    token = sign(OrderKey("conn_a", "2"), SecretStr(ACTION_KEY), at=account.clock.now())
    opened = {"rawPath": f"/{token}", "requestContext": {"http": {"method": "GET"}}}
    page = account.invoke("HandleActionFunction", opened)
    [seen] = re.findall('name="seen" value="([0-9a-f]+)"', page["body"])
    form = b64encode(f"do=take&name=Ana&seen={seen}".encode()).decode()
    posted = {**opened, "requestContext": {"http": {"method": "POST"}}, "body": form, "isBase64Encoded": True}
    answer = account.invoke("HandleActionFunction", posted)
    assert (answer["statusCode"], "Ana has it." in answer["body"]) == (200, True)


@pytest.fixture(scope="module")
def calls() -> frozenset[Call]:
    """All calls that the handlers and AWS make with the roles."""
    with account() as running:
        run_every_path(running)
        return frozenset(made_by_aws()) | running.recorder.calls


@pytest.mark.parametrize(
    "governed", [GOVERNED, {"HasKmsKey"}, {"HasVpc"}, set()], ids=["both", "key", "network", "neither"]
)
def test_every_call_is_allowed_and_every_permission_is_used(calls: frozenset[Call], governed: set[str]) -> None:
    needed = set(calls)
    if "HasKmsKey" in governed:
        needed |= set(needed_of_the_key(calls))
    if "HasVpc" in governed:
        needed |= set(made_in_a_vpc())
    assert violations(granted((CONDITIONS - GOVERNED) | governed), needed) == []


def test_star_resources_only_where_aws_has_no_narrower_one() -> None:
    anywhere = {grant.action for grant in GRANTS if grant.resource == "*" and not grant.action.startswith("ec2:")}
    assert anywhere == {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "ssm:DescribeParameters"}


def test_functions_cannot_use_the_permissions_for_network_interfaces() -> None:
    """Lambda has them for the function; its requests lack the key that those of a function have."""
    [statement] = RESOURCES["NetworkPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert {grant.action.partition(":")[0] for grant in GRANTS if grant.sid == statement["Sid"]} == {"ec2"}
    assert statement["Condition"] == {"Null": {"lambda:SourceFunctionArn": "true"}}


@pytest.mark.parametrize(
    ("parameter", "readers"),
    [
        ("trackstar/api-key", {"DispatchPolls", "PollOrders", "PublishAlerts", "RedriveAlerts", "SendSummary"}),
        ("connections/conn_a/access-token", {"PollOrders", "PublishAlerts", "RedriveAlerts", "SendSummary"}),
        ("slack/webhook-url", {"PostToSlack"}),
        ("action-links/key", {"HandleAction", "PublishAlerts", "RedriveAlerts", "PostToSlack"}),
    ],
)
def test_a_secret_is_read_only_by_functions_that_use_it(parameter: str, readers: set[str]) -> None:
    name = arn("ssm", f"parameter/orderwatch/{parameter}")
    reading = [grant for grant in GRANTS if grant.action.startswith("ssm:Get")]
    paths = (name, name.rpartition("/")[0])
    allowed = {each.role for each in reading for path in paths if each.allows(Call(each.role, each.action, path))}
    assert allowed == {f"{reader}Role" for reader in readers}


def test_each_function_has_its_own_role_without_an_aws_policy() -> None:
    assert of_type("AWS::Serverless::Function").keys() == FUNCTIONS.keys()
    assert [role_of(function) for function in FUNCTIONS] == [name.replace("Function", "Role") for name in FUNCTIONS]
    for name, role in of_type("AWS::IAM::Role").items():
        assert "arn:" not in str(role.get("ManagedPolicyArns")), name


@pytest.mark.slow
def test_the_sam_transform_adds_no_role_and_no_policy() -> None:
    done = subprocess.run(
        [SAM_PYTHON, ROOT / "local/transform.py", ROOT / "template.yaml"],
        env={**os.environ, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        check=True,
    )
    transformed = json.loads(done.stdout)["Resources"]

    def kinds(resources: Any, prefix: str) -> dict[str, str]:
        return {name: each["Type"] for name, each in resources.items() if each["Type"].startswith(prefix)}

    assert kinds(transformed, "AWS::IAM::") == kinds(RESOURCES, "AWS::IAM::")
    for name in kinds(transformed, "AWS::IAM::Role"):
        documents = [policy["PolicyDocument"] for policy in transformed[name]["Properties"].get("Policies", [])]
        written = RESOURCES[name]["Properties"].get("Policies", [])
        assert [len(each["Statement"]) for each in documents] == [
            len(policy["PolicyDocument"]["Statement"]) for policy in written
        ]
