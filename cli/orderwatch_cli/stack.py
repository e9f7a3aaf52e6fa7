"""A deployed stack: what it is called where, and with which parameters it was deployed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from orderwatch.errors import OrderwatchError
from orderwatch_cli.aws import Aws
from orderwatch_cli.pasting import Commands

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

STACK_NAME = "orderwatch"
"""What a stack is called unless its operator says otherwise."""
QUEUE = "AWS::SQS::Queue"
TABLE = "AWS::DynamoDB::Table"
FUNCTION = "AWS::Lambda::Function"
ALARM = "AWS::CloudWatch::Alarm"
LOG_GROUP = "AWS::Logs::LogGroup"
SCHEDULE = "AWS::Scheduler::Schedule"
EVENT_SOURCE = "AWS::Lambda::EventSourceMapping"


class StackError(OrderwatchError):
    """There is no such stack, or it is not one of ours: says which and what to do."""


class Outputs(BaseModel):
    """What a deployment names: the template's outputs."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)

    alert_topic_arn: str
    ops_topic_arn: str
    dispatch_polls_function_name: str
    poll_orders_function_name: str
    publish_alerts_function_name: str
    redrive_alerts_function_name: str
    send_summary_function_name: str
    post_to_slack_function_name: str | None = None
    order_table_name: str
    connection_table_name: str
    alert_table_name: str
    poll_queue_url: str


class StackParameters(BaseModel):
    """The template's parameters that an operator's commands need."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)

    trackstar_base_url: str
    parameter_prefix: str
    poll_schedule: str
    max_poll_gap_minutes: int = 15
    slack_enabled: bool
    alert_statuses: str = "exception,backordered,cancelled"

    @property
    def watched_statuses(self) -> list[str]:
        """The statuses that are alerted on."""
        return [each.strip() for each in self.alert_statuses.split(",") if each.strip()]


@dataclass(frozen=True)
class Resource:
    """A resource of the stack.

    Attributes:
        name: As the template calls it.
        type: Such as `AWS::SQS::Queue`.
        id: As AWS calls it; a queue's is its URL.
    """

    name: str
    type: str
    id: str


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes:
        aws: Where it is.
        name: Its name.
        status: As CloudFormation says.
        outputs: What the deployment names.
        parameters: What it was deployed with.
        resources: Everything that is deployed, by the template's name.
    """

    aws: Aws
    name: str
    status: str
    outputs: Outputs
    parameters: StackParameters
    resources: Mapping[str, Resource]

    @property
    def commands(self) -> Commands:
        """How commands about this stack are written."""
        return commands_for(self.aws, self.name)

    def of_type(self, kind: str) -> list[Resource]:
        """The resources of a type, in the order of their names."""
        return sorted((each for each in self.resources.values() if each.type == kind), key=lambda each: each.name)


def commands_for(aws: Aws, stack_name: str) -> Commands:
    """How commands about a stack are written, whether it is there or not."""
    return Commands(
        stack_name="" if stack_name == STACK_NAME else stack_name,
        endpoint_url=aws.typed_endpoint,
        credentials_file=aws.credentials_file,
        region=aws.local_region,
    )


def find_stack(aws: Aws, name: str) -> Stack:
    """Look the stack up.

    Raises:
        StackError: It is not there, not finished, or no stack of this template.
    """
    try:
        described = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"].get("Code") == "ValidationError":
            raise StackError(f"no stack {name} in this account and region: name yours with --stack-name") from None
        raise
    try:
        outputs, parameters = _outputs(described), _parameters(described)
    except ValidationError:
        status = described["StackStatus"]
        raise StackError(f"stack {name} ({status}) lacks the outputs of orderwatch: deploy template.yaml") from None
    return Stack(aws, name, described["StackStatus"], outputs, parameters, _resources(aws, name))


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
