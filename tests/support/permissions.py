"""What the template's roles allow, and what AWS asks permission for: compared by `tests/integration/test_iam.py`."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from tests.support.template import load_template

ACCOUNT = "123456789012"
REGION = "us-east-1"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "orderwatch",
}
RESOURCES: Mapping[str, Any] = load_template()["Resources"]
PARAMETERS: Mapping[str, Any] = load_template()["Parameters"]
CONDITIONS: frozenset[str] = frozenset(load_template()["Conditions"])
"""Those of the template; all of them hold with every optional feature."""
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def name_of(resource: str) -> str:
    """The name that a resource of the template has in these tests: its logical one."""
    properties = RESOURCES[resource].get("Properties", {})
    if "LogGroupName" in properties:
        return str(resolved(properties["LogGroupName"]))
    return f"{resource}.fifo" if properties.get("FifoQueue") else resource


def arn_of(resource: str) -> str:
    match RESOURCES[resource]["Type"]:
        case "AWS::DynamoDB::Table":
            return arn("dynamodb", f"table/{name_of(resource)}")
        case "AWS::SQS::Queue":
            return arn("sqs", name_of(resource))
        case "AWS::SNS::Topic":
            return arn("sns", name_of(resource))
        case "AWS::Serverless::Function":
            return arn("lambda", f"function:{name_of(resource)}")
        case "AWS::Logs::LogGroup":
            return arn("logs", f"log-group:{name_of(resource)}:*")
    raise NotImplementedError(resource)


def _reference(name: str) -> str:
    if name in PSEUDO:
        return PSEUDO[name]
    if name == "KmsKeyArn":
        return KEY
    if name in PARAMETERS:
        return str(PARAMETERS[name]["Default"])
    match RESOURCES[name]["Type"]:
        case "AWS::SNS::Topic":
            return arn_of(name)
        case "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name_of(name)}"
    return name_of(name)


def _attribute(path: str) -> str:
    name, _, attribute = path.partition(".")
    match attribute:
        case "Arn":
            return arn_of(name)
        case "FunctionUrl":
            return f"https://{name.lower()}.lambda-url.{REGION}.on.aws/"
        case "StreamArn":
            return f"{arn_of(name)}/stream/2026-01-05T12:00:00.000"
    raise NotImplementedError(path)


def resolved(value: Any, conditions: Collection[str] = CONDITIONS) -> Any:
    """A value of the template with its references filled in; None for none.

    Args:
        value: As the template has it.
        conditions: The conditions of the template that hold.
    """
    match value:
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": str(name)}:
            return _reference(name)
        case {"Fn::GetAtt": str(path)}:
            return _attribute(path)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: _either(found[1]), text)
        case {"Fn::If": [str(condition), if_true, if_false]}:
            return resolved(if_true if condition in conditions else if_false, conditions)
    return value


def _either(expression: str) -> str:
    return _attribute(expression) if "." in expression else _reference(expression)


def environment_of(function: str) -> dict[str, str]:
    """The variables that the template sets for a function on AWS, where there is no endpoint of a local cloud."""
    common = load_template()["Globals"]["Function"]["Environment"]["Variables"]
    own = RESOURCES[function]["Properties"]["Environment"]["Variables"]
    variables = {
        name: resolved(value, CONDITIONS - {"HasAwsEndpointUrl", "HasHttpsProxy"})
        for name, value in {**common, **own}.items()
    }
    return {name: str(value) for name, value in variables.items() if value is not None}


def role_of(function: str) -> str:
    return str(RESOURCES[function]["Properties"]["Role"]["Fn::GetAtt"]).removesuffix(".Arn")


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one resource that a policy allows a role; the resource may hold `*`."""

    role: str
    sid: str
    action: str
    resource: str

    def allows(self, call: "Call") -> bool:
        return self.role == call.role and _fits(self.action, call.action) and _fits(self.resource, call.resource)


def _fits(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text))


@dataclass(frozen=True, order=True)
class Call:
    """One action on one resource that a role needs."""

    role: str
    action: str
    resource: str


def granted(conditions: Collection[str] = CONDITIONS) -> list[Grant]:
    """All that the template's roles are allowed, action by action and resource by resource.

    Args:
        conditions: The conditions of the template that hold.
    """
    return [grant for role, document in _policies(conditions) for grant in grants_of(role, document["Statement"])]


def grants_of(
    role: str, statements: Iterable[Mapping[str, Any]], resolve: Callable[[Any], Any] = resolved
) -> Iterator["Grant"]:
    """What the statements of a policy allow, action by action and resource by resource."""
    for statement in filter(None, map(resolve, statements)):
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Grant(role, statement["Sid"], action, str(resolve(resource)))


def _policies(conditions: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        if resource.get("Condition", "") not in {"", *conditions}:
            continue
        if resource["Type"] == "AWS::IAM::Role":
            yield from ((name, policy["PolicyDocument"]) for policy in properties.get("Policies", []))
            attached = attached_policies(properties, conditions)
            yield from ((name, RESOURCES[policy]["Properties"]["PolicyDocument"]) for policy in attached)
        elif resource["Type"] == "AWS::IAM::Policy":
            roles = filter(None, (resolved(role, conditions) for role in properties["Roles"]))
            yield from ((role, properties["PolicyDocument"]) for role in roles)


def attached_policies(role: Mapping[str, Any], conditions: Collection[str]) -> list[str]:
    """The template's own policies that a role has."""
    policies = resolved(role.get("ManagedPolicyArns"), conditions) or []
    return [name for each in policies if (name := resolved(each, conditions))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def violations(grants: Collection[Grant], calls: Collection[Call]) -> list[str]:
    """What is needed and not granted, and what is granted and not needed."""
    denied = [f"denied: {call}" for call in sorted(calls) if not any(grant.allows(call) for grant in grants)]
    unused = [f"never used: {grant}" for grant in sorted(grants) if not any(grant.allows(call) for call in calls)]
    return denied + unused


_ENCRYPTED = {
    "ssm:GetParameter": {"kms:Decrypt"},
    "ssm:GetParametersByPath": {"kms:Decrypt"},
    "sqs:ReceiveMessage": {"kms:Decrypt"},
    "sqs:SendMessage": {"kms:Decrypt", "kms:GenerateDataKey"},
    "sns:Publish": {"kms:Decrypt", "kms:GenerateDataKey"},
}


def needed_of_the_key(calls: Collection["Call"]) -> Iterator["Call"]:
    """What the calls need of the KMS key that encrypts topics, queues, tables and parameters.

    By the developer guides of SNS, SQS, DynamoDB and the Parameter Store: DynamoDB and the Parameter Store decrypt on
    behalf of the caller, and a sender gets the data key of the message.
    """
    for call in calls:
        actions = {"kms:Decrypt"} if call.action.startswith("dynamodb:") else _ENCRYPTED.get(call.action, set())
        yield from (Call(call.role, action, KEY) for action in actions)


_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def needed(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The actions and resources that AWS checks for an API call, by its Service Authorization Reference."""
    match operation:
        case "GetParameter":
            yield "ssm:GetParameter", arn("ssm", f"parameter{request['Name']}")
        case "GetParameters":
            yield from (("ssm:GetParameters", arn("ssm", f"parameter{name}")) for name in request["Names"])
        case "DescribeParameters":
            yield "ssm:DescribeParameters", "*"
        case "GetParametersByPath":
            yield "ssm:GetParametersByPath", arn("ssm", f"parameter{request['Path']}")
        case "SendMessage" | "SendMessageBatch":
            yield "sqs:SendMessage", arn("sqs", request["QueueUrl"].rsplit("/", 1)[1])
        case "PublishBatch":
            yield "sns:Publish", request["TopicArn"]
        case "ListSubscriptionsByTopic":
            yield "sns:ListSubscriptionsByTopic", request["TopicArn"]
        case _:
            yield from _needed_of_tables(operation, request)


def _needed_of_tables(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    match operation:
        case "TransactWriteItems":
            for action in request["TransactItems"]:
                [(kind, item)] = action.items()
                yield f"dynamodb:{_TRANSACTION[kind]}", _table(item["TableName"])
        case "BatchGetItem":
            yield from (("dynamodb:BatchGetItem", _table(name)) for name in request["RequestItems"])
        case "Query":
            index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
            yield "dynamodb:Query", _table(request["TableName"]) + index
        case "GetItem" | "Scan" | "PutItem" | "UpdateItem" | "DeleteItem":
            yield f"dynamodb:{operation}", _table(request["TableName"])
        case _:
            raise NotImplementedError(f"which permission does {operation} need?")


def _table(name: str) -> str:
    return arn("dynamodb", f"table/{name}")


@dataclass
class Recorder:
    """Replaces `boto3.client`: clients that note the permissions their calls need, for the role of the moment.

    Attributes:
        role: Whose calls are being made.
        calls: All that was needed.
    """

    role: str = ""
    calls: set[Call] = field(default_factory=set)
    _client: Callable[..., Any] = boto3.client

    def client(self, *arguments: Any, **options: Any) -> Any:
        client = self._client(*arguments, **options)
        client.meta.events.register("before-parameter-build", self._note)
        return client

    def _note(self, params: Mapping[str, Any], model: Any, **_: object) -> None:
        self.calls.update(Call(self.role, *permission) for permission in needed(model.name, params))
