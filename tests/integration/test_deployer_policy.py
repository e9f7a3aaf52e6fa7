"""integrations/deployer-policy.yaml: what deploys the stack may do all that a deployment takes, and nothing else.

What CloudFormation does for a resource is in the registry's schema of its type (`handlers`), which cfn-lint has. What
SAM CLI calls was recorded from `sam deploy --config-env ci`, an update and `sam delete` on the local cloud.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.permissions import ACCOUNT, KEY, PSEUDO, REGION, Call, Grant, arn, grants_of, violations
from tests.support.template import ROOT, load_template

POLICY: dict[str, Any] = load_template("integrations/deployer-policy.yaml")
SAM_PYTHON = ROOT / ".tools/sam/bin/python"
STACK = "orderwatch"
DEPLOYER = "deployer"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
BUCKET = "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-a1b2c3"
OTHER_FEATURES = re.compile(
    r"dynamodb:(Import|DescribeImport|CreateTableReplica|AssociateTableReplica)"
    r"|dynamodb:(Scan|Query|UpdateItem|PutItem|GetItem|DeleteItem|BatchWriteItem)$"  # of replicas
    r"|dynamodb:(Enable|Disable|Update)KinesisStreamingDestination|dynamodb:UpdateContributorInsights"
    r"|\w+:(Put|Delete)(ResourcePolicy|DataProtectionPolicy|IndexPolicy|FunctionCodeSigningConfig)"
    r"|\w+:Put(FunctionScalingConfig|RuntimeManagementConfig|BearerTokenAuthentication|LogGroupDeletionProtection)"
    r"|lambda:(PassCapacityProvider|AssociateRuntimeAlias|PublishVersion|GetCodeSigningConfig)"
    r"|logs:CreateLogDelivery|iam:\w*(User|Group)\w*"
)
"""What the handlers of a type need only for features that the template does not use."""
OTHER_SERVICES = {"AWS::Lambda::Function": ("iam:PassRole", "ec2:"), "AWS::Scheduler::Schedule": ("iam:PassRole",)}
"""What a type needs of other services; imports, file systems and delivery logs need more of them."""
ANYWHERE = re.compile(r"ec2:|kms:ListAliases|logs:Describe|lambda:(Create|Update|Delete)EventSourceMapping")
"""Actions without a resource of their own, or whose resource has a random name (a condition names the function)."""
ARNS = {
    "AWS::CloudWatch::Alarm": arn("cloudwatch", f"alarm:{STACK}-NoPollsAlarm-a1b2"),
    "AWS::CloudWatch::Dashboard": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{STACK}-{REGION}",
    "AWS::DynamoDB::Table": arn("dynamodb", f"table/{STACK}-OrderTable-a1b2"),
    "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-KeyPolicy-a1b2",
    "AWS::IAM::Policy": f"arn:aws:iam::{ACCOUNT}:role/{STACK}-ScheduleRole-a1b2",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{STACK}-ScheduleRole-a1b2",
    "AWS::Lambda::EventInvokeConfig": arn("lambda", f"function:{STACK}-SendSummaryFunction-a1b2"),
    "AWS::Lambda::EventSourceMapping": arn("lambda", "event-source-mapping:1111-2222"),
    "AWS::Lambda::Function": arn("lambda", f"function:{STACK}-SendSummaryFunction-a1b2"),
    "AWS::Lambda::Permission": arn("lambda", f"function:{STACK}-HandleActionFunction-a1b2"),
    "AWS::Lambda::Url": arn("lambda", f"function:{STACK}-HandleActionFunction-a1b2"),
    "AWS::Lambda::LayerVersion": arn("lambda", "layer:OrderwatchLayer"),
    "AWS::Logs::LogGroup": arn("logs", f"log-group:/aws/lambda/{STACK}-send-summary"),
    "AWS::SNS::Subscription": arn("sns", f"{STACK}-AlertTopic-a1b2"),
    "AWS::SNS::Topic": arn("sns", f"{STACK}-AlertTopic-a1b2"),
    "AWS::SNS::TopicPolicy": arn("sns", f"{STACK}-AlertTopic-a1b2"),
    "AWS::SQS::Queue": arn("sqs", f"{STACK}-PollQueue-a1b2.fifo"),
    "AWS::SQS::QueuePolicy": arn("sqs", f"{STACK}-PollQueue-a1b2.fifo"),
    "AWS::Scheduler::Schedule": arn("scheduler", f"schedule/default/{STACK}-PollSchedule-a1b2"),
}
"""The name that CloudFormation gives to a resource of each type: the stack's, the template's and random letters."""
BY_SAM = {
    f"stack/{STACK}/a1b2": (
        *("CreateChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents", "DescribeStacks"),
        *("ExecuteChangeSet", "GetTemplate", "GetTemplateSummary"),
    ),
    f"stack/{STACK}-d8a552e3-CompanionStack/*": ("DescribeStacks",),
    "stack/aws-sam-cli-managed-default/a1b2": (
        *("CreateChangeSet", "DescribeChangeSet", "DescribeStacks", "ExecuteChangeSet"),
    ),
}
"""What SAM CLI calls of CloudFormation, by stack."""
OF_THE_CODE = ("PutObject", "GetObject", "GetObjectVersion", "DeleteObject", "AbortMultipartUpload")
"""HeadObject needs GetObject; a multipart upload needs PutObject, and AbortMultipartUpload where it fails."""
OF_THE_BUCKET = (
    *("CreateBucket", "PutBucketTagging", "PutBucketVersioning", "PutEncryptionConfiguration"),
    *("PutBucketPublicAccessBlock", "PutBucketPolicy", "GetBucketPolicy"),
)
"""What the template of SAM's bucket takes (samcli/lib/bootstrap/bootstrap.py)."""
OF_THE_KEY = (
    *("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    *("ReEncryptFrom", "ReEncryptTo", "RevokeGrant"),
)
"""What DynamoDB needs of the key of a new table, by its developer guide, and what its handlers need."""


def resolved(value: Any, *, conditions: frozenset[str]) -> Any:
    match value:
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": str(name)}:
            return {"StackName": STACK, "KmsKeyArn": KEY, "PermissionsBoundaryArn": BOUNDARY}[name]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: {**PSEUDO, "StackName": STACK}[found[1]], text)
        case {"Fn::If": [str(condition), if_true, if_false]}:
            return resolved(if_true if condition in conditions else if_false, conditions=conditions)
    return value


def documents() -> dict[str, dict[str, Any]]:
    managed = {name: each for name, each in POLICY["Resources"].items() if each["Type"] == "AWS::IAM::ManagedPolicy"}
    return {name: each["Properties"]["PolicyDocument"] for name, each in managed.items()}


def granted(conditions: frozenset[str]) -> list[Grant]:
    return [
        grant
        for document in documents().values()
        for grant in grants_of(DEPLOYER, document["Statement"], lambda value: resolved(value, conditions=conditions))
    ]


@cache
def types_of_the_stack() -> frozenset[str]:
    """The types of the resources after the SAM transform."""
    command = [str(each) for each in (SAM_PYTHON, ROOT / "local/transform.py", ROOT / "template.yaml", "--governed")]
    done = subprocess.run(command, env={**os.environ, "AWS_DEFAULT_REGION": REGION}, capture_output=True, check=True)
    return frozenset(each["Type"] for each in json.loads(done.stdout)["Resources"].values())


def handlers_of(kind: str) -> set[str]:
    """The actions that CloudFormation takes to create, read, update and delete a resource, and to tag it."""
    [data] = (ROOT / ".tools/sam/lib").glob("python3*/site-packages/cfnlint/data/schemas")
    index = json.loads((data / f"providers/{REGION}.json").read_text())
    schema = json.loads(Path(data / f"resources/{index[kind]}.json").read_text())
    handlers = {name: each["permissions"] for name, each in schema["handlers"].items() if name != "list"}
    tagging = schema.get("tagging", {}).get("permissions", [])
    return {*tagging, *(action for actions in handlers.values() for action in actions)}


def for_resources() -> Iterator[Call]:
    for kind in types_of_the_stack():
        service = f"{kind.split('::')[1].lower()}:"
        for action in handlers_of(kind):
            if action.startswith((service, *OTHER_SERVICES.get(kind, ()))) and not OTHER_FEATURES.match(action):
                yield Call(DEPLOYER, action, resource_of(action, kind))


def resource_of(action: str, kind: str) -> str:
    if ANYWHERE.match(action):
        return "*"
    if re.search("RolePolicy|PassRole", action):
        return ARNS["AWS::IAM::Role"]
    return f"{ARNS['AWS::Lambda::LayerVersion']}:3" if re.search("(Get|Delete)LayerVersion", action) else ARNS[kind]


def for_sam() -> Iterator[Call]:
    for stack, operations in BY_SAM.items():
        for name in operations:
            yield Call(DEPLOYER, f"cloudformation:{name}", arn("cloudformation", stack))
    transform = f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31"
    yield Call(DEPLOYER, "cloudformation:CreateChangeSet", transform)
    yield from (Call(DEPLOYER, f"s3:{name}", f"{BUCKET}/1234abcd") for name in OF_THE_CODE)
    yield from (Call(DEPLOYER, f"s3:{name}", BUCKET) for name in OF_THE_BUCKET)


def for_the_key() -> Iterator[Call]:
    yield Call(DEPLOYER, "kms:ListAliases", "*")
    yield from (Call(DEPLOYER, f"kms:{name}", KEY) for name in OF_THE_KEY)


@pytest.mark.parametrize("conditions", [frozenset(), frozenset({"HasKmsKey"}), frozenset({"HasPermissionsBoundary"})])
def test_a_deployment_is_allowed_and_nothing_else(conditions: frozenset[str]) -> None:
    needed = {*for_resources(), *for_sam()}
    if "HasKmsKey" in conditions:
        needed |= set(for_the_key())
    if "HasPermissionsBoundary" in conditions:  # a role keeps its boundary
        needed = {call for call in needed if call.action != "iam:DeleteRolePermissionsBoundary"}
    assert violations(granted(conditions), needed) == []


def statement(sid: str) -> dict[str, Any]:
    [found] = [each for document in documents().values() for each in document["Statement"] if each.get("Sid") == sid]
    return dict(found)


def test_a_role_gets_permissions_only_within_the_boundary() -> None:
    condition = resolved(
        statement("GiveRolesPermissions")["Condition"], conditions=frozenset({"HasPermissionsBoundary"})
    )
    assert condition == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "PermissionsBoundaryArn"}}}
    giving = re.compile("iam:(AttachRolePolicy|CreateRole|PutRolePermissionsBoundary|PutRolePolicy)")
    assert {each.sid for each in granted(frozenset()) if giving.match(each.action)} == {"GiveRolesPermissions"}


def test_event_source_mappings_are_those_of_the_functions_of_the_stack() -> None:
    [pattern] = statement("EventSourceMappings")["Condition"]["ArnLike"].values()
    assert resolved(pattern, conditions=frozenset()) == arn("lambda", f"function:{STACK}-*")


@pytest.mark.parametrize("name", documents())
def test_a_policy_is_within_the_limit_of_iam(name: str) -> None:
    """6,144 characters without blanks, of a managed policy."""
    everything = frozenset({"HasKmsKey", "HasPermissionsBoundary"})

    def whole(value: Any) -> Any:
        value = resolved(value, conditions=everything)
        if isinstance(value, dict):
            return {key: whole(each) for key, each in value.items()}
        return [each for each in map(whole, value) if each] if isinstance(value, list) else value

    assert len(json.dumps(whole(documents()[name]), separators=(",", ":"))) < 6144


def test_only_the_named_subject_of_github_gets_the_role() -> None:
    [statement] = POLICY["Resources"]["GitHubRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Ref": "GitHubSubject"},
        }
    }
    allowed = re.compile(POLICY["Parameters"]["GitHubSubject"]["AllowedPattern"])
    assert allowed.fullmatch("repo:octo/orders:environment:production")
    assert allowed.fullmatch("repo:octo@1234/orders@5678:environment:production"), "repositories since July 2026"
    assert not allowed.fullmatch("repo:octo/*:environment:production")
