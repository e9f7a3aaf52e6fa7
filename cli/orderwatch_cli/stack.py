"""A deployed stack: its outputs, parameters, resources and functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from orderwatch.errors import OrderwatchError
from orderwatch.statuses import normalize_status
from orderwatch_cli.aws import Aws
from orderwatch_cli.command_hints import Commands

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

STACK_NAME = "orderwatch"
"""Default name of a stack."""
QUEUE = "AWS::SQS::Queue"
TABLE = "AWS::DynamoDB::Table"
FUNCTION = "AWS::Lambda::Function"
ALARM = "AWS::CloudWatch::Alarm"
SCHEDULE = "AWS::Scheduler::Schedule"
EVENT_SOURCE = "AWS::Lambda::EventSourceMapping"
DEAD_LETTER_SOURCES = {"PollDeadLetterQueue": "PollQueue", "SlackDeadLetterQueue": "SlackQueue"}
"""The queue that the messages of each dead-letter queue come from."""


class StackError(OrderwatchError):
    """The stack does not exist or is not one of orderwatch; the message says what to do."""


class InvocationError(OrderwatchError):
    """A function failed; the message says where its log is."""


class Function(StrEnum):
    """The functions of a stack, by the names of their logs."""

    DISPATCH_POLLS = "dispatch-polls"
    POLL_ORDERS = "poll-orders"
    PUBLISH_ALERTS = "publish-alerts"
    REDRIVE_ALERTS = "redrive-alerts"
    SEND_SUMMARY = "send-summary"
    POST_TO_SLACK = "post-to-slack"
    HANDLE_ACTION = "handle-action"

    @property
    def log_group(self) -> str:
        """The template's name of the log group."""
        return f"{self._name_in_template}LogGroup"

    @property
    def resource(self) -> str:
        """The template's name of the function."""
        return f"{self._name_in_template}Function"

    @property
    def _name_in_template(self) -> str:
        return "".join(part.capitalize() for part in self.split("-"))


class Outputs(BaseModel):
    """The template's outputs."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)

    alert_topic_arn: str
    ops_topic_arn: str
    dispatch_polls_function_name: str
    poll_orders_function_name: str
    publish_alerts_function_name: str
    redrive_alerts_function_name: str
    send_summary_function_name: str
    post_to_slack_function_name: str | None = None
    handle_action_function_name: str | None = None
    handle_action_url: str | None = None
    order_table_name: str
    connection_table_name: str
    alert_table_name: str
    poll_queue_url: str


class StackParameters(BaseModel):
    """Those of the template's parameters that the commands need."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)

    trackstar_base_url: str
    parameter_prefix: str
    poll_schedule: str
    max_poll_gap_minutes: int = 15
    slack_enabled: bool
    alert_statuses: str = "exception,backordered,cancelled"
    log_level: str = "INFO"
    time_zone: str = "UTC"
    late_warning_hours: int = 24
    stuck_days: int = 0
    deadline_alerts: str = "true"
    reminder_hours: int = 0
    max_reminders: int = 3
    poll_concurrency: int = 5
    kms_key_arn: str = ""

    @property
    def watches_deadlines(self) -> bool:
        """Whether deadlines and reminders are alerted."""
        return self.deadline_alerts == "true"

    @property
    def watched_statuses(self) -> list[str]:
        """The statuses that raise an alert."""
        return [normalize_status(each) for each in self.alert_statuses.split(",") if each.strip()]


@dataclass(frozen=True)
class Resource:
    """A resource of the stack.

    Attributes:
        name: The template's name.
        type: Such as `AWS::SQS::Queue`.
        id: AWS's name; the URL of a queue.
    """

    name: str
    type: str
    id: str


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes:
        aws: Clients of its account.
        name: Its name.
        status: CloudFormation's status.
        outputs: Its outputs.
        parameters: The parameters that it was deployed with.
        resources: Its resources, by the template's names.
    """

    aws: Aws
    name: str
    status: str
    outputs: Outputs
    parameters: StackParameters
    resources: Mapping[str, Resource]

    @property
    def commands(self) -> Commands:
        """Builds the commands that messages about this stack suggest."""
        return commands_for(self.aws, self.name)

    def of_type(self, kind: str) -> list[Resource]:
        """Return the resources of a type, sorted by name."""
        return sorted((each for each in self.resources.values() if each.type == kind), key=lambda each: each.name)

    def invoke(self, function: Function, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke a function, wait for its end, and return its result.

        Raises:
            InvocationError: The function failed.
        """
        name = self.resources[function.resource].id
        answer = self.aws.functions.invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        body: dict[str, Any] = json.loads(answer["Payload"].read() or "{}")
        if answer.get("FunctionError"):
            reason = body.get("errorType", answer["FunctionError"])
            raise InvocationError(f"{name} failed ({reason}); read its log: {self.commands.own(f'logs {function}')}")
        return body


def commands_for(aws: Aws, stack_name: str) -> Commands:
    """Build the commands for a stack, even one that does not exist."""
    return Commands(
        stack_name="" if stack_name == STACK_NAME else stack_name,
        endpoint_url=aws.typed_endpoint,
        credentials_file=aws.credentials_file,
        region=aws.local_region,
    )


def find_stack(aws: Aws, name: str) -> Stack:
    """Find a stack by its name.

    Raises:
        StackError: The stack does not exist or lacks the outputs of orderwatch.
    """
    described = _described(aws, name)
    try:
        outputs, parameters = _outputs(described), _parameters(described)
    except ValidationError:
        status = described["StackStatus"]
        raise StackError(f"stack {name} ({status}) lacks the outputs of orderwatch: deploy template.yaml") from None
    return Stack(aws, name, described["StackStatus"], outputs, parameters, _resources(aws, name))


def _described(aws: Aws, name: str) -> "StackTypeDef":
    try:
        return aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code == "ValidationError":
            raise StackError(f"no stack {name} in this account and region: set --stack-name") from None
        if code:
            raise
    except (ResponseParserError, LookupError):
        pass
    raise StackError("the endpoint does not answer as AWS does: check --endpoint-url and AWS_ENDPOINT_URL")


def _outputs(described: "StackTypeDef") -> Outputs:
    outputs = described.get("Outputs", [])
    return Outputs.model_validate({each["OutputKey"]: each["OutputValue"] for each in outputs})


def _parameters(described: "StackTypeDef") -> StackParameters:
    parameters = described.get("Parameters", [])
    return StackParameters.model_validate({each["ParameterKey"]: each["ParameterValue"] for each in parameters})


def _resources(aws: Aws, name: str) -> dict[str, Resource]:
    pages = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    summaries = (each for page in pages for each in page["StackResourceSummaries"])
    found = (
        Resource(each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", ""))
        for each in summaries
    )
    return {resource.name: resource for resource in found}
