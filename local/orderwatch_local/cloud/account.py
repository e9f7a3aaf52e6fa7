"""The AWS account, or local cloud, that the environment names: deploys stacks to it and deletes them again."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orderwatch_cli.aws import Aws
from orderwatch_cli.aws_errors import AWS_ERRORS
from orderwatch_local.cloud.sam import local_environment, local_sam_environment, sam_deploy

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

_CHECK_EVERY = 3
"""Seconds between two checks of a deletion; CloudFormation throttles more frequent ones."""
_DELETION_SECONDS = 1200
"""Time limit for the deletion of a stack."""
_CONSEQUENCES = ("Resource creation cancelled", "The following resource(s) failed")
"""Beginnings of the reasons that only follow from another failure."""


class Account(Aws):
    """Clients of an account or local cloud, and its stacks.

    Args:
        scratch: A directory for SAM's files.
        endpoint_url: The endpoint of AWS; None: AWS_ENDPOINT_URL, or the SDK's default.
    """

    def __init__(self, scratch: Path, *, endpoint_url: str | None = None) -> None:
        super().__init__(endpoint_url=endpoint_url)
        self._scratch = scratch
        self.is_local = self._is_local
        self.endpoint_url = self._endpoint_url or ""

    @property
    def id(self) -> str:
        """The account id."""
        return str(self._sts.get_caller_identity()["Account"])

    def now(self) -> datetime:
        """Return the time of AWS's clock, in whole seconds."""
        answer = self._sts.get_caller_identity()["ResponseMetadata"]
        return parsedate_to_datetime(answer["HTTPHeaders"]["date"])

    @property
    def region(self) -> str:
        """The region that stacks are deployed to.

        Raises:
            NoRegionError: The AWS environment names no region.
        """
        return str(self.cloudformation.meta.region_name)

    @property
    def secret(self) -> str:
        """The secret of a local cloud's guard; empty for an account."""
        credentials = self._session.get_credentials() if self.is_local else None
        return (credentials.token or "") if credentials else ""

    def deploy(self, template: Path, stack_name: str, *, bucket: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Deploy a built template as a new stack.

        Returns:
            The outputs of the stack.

        Raises:
            DeployFailedError: `sam deploy` failed; `refusals` has the reasons.
        """
        sam_deploy(
            template,
            stack_name=stack_name,
            bucket=bucket,
            region=self.region,
            parameters=parameters,
            environment=self._sam_environment(),
        )
        stack = self.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def refusals(self, stack_name: str) -> list[str]:
        """Return the reasons that CloudFormation gives for resources that failed, oldest first."""
        try:
            pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_name)
            events = [event for page in pages for event in page["StackEvents"] if _is_refusal(event)]
        except AWS_ERRORS:  # there is no such stack
            return []
        reasons = (f"{each['LogicalResourceId']}: {each['ResourceStatusReason']}" for each in reversed(events))
        return list(dict.fromkeys(" ".join(line.split()) for line in reasons))

    def errors_logged(self, prefix: str) -> Iterator[str]:
        """Yield the errors that functions with this name prefix logged, without repeats."""
        logs: CloudWatchLogsClient = self._client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{prefix}")["logGroups"]
        for name in (group["logGroupName"] for group in groups):
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
            errors = (_error_in(event["message"]) for page in pages for event in page["events"])
            yield from (f"{name.removeprefix('/aws/lambda/')}: {error}" for error in dict.fromkeys(errors) if error)

    def create_bucket(self, name: str) -> None:
        """Create a bucket for the code of a deployment."""
        elsewhere: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self._s3.create_bucket(Bucket=name, **(elsewhere if self.region != "us-east-1" else {}))

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket and its objects, if it exists."""
        with suppress(self._s3.exceptions.NoSuchBucket):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                for each in page.get("Contents", []):
                    self._s3.delete_object(Bucket=name, Key=each["Key"])
            self._s3.delete_bucket(Bucket=name)

    def delete_parameters(self, prefix: str) -> None:
        """Delete every parameter below a path."""
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True)
        for name in [parameter["Name"] for page in pages for parameter in page["Parameters"]]:
            self.ssm.delete_parameter(Name=name)

    def delete_stack(self, name: str) -> None:
        """Delete a stack, if it exists, and wait until it is deleted.

        Raises:
            WaiterError: CloudFormation could not delete it; `refusals` has the reasons.
        """
        self.cloudformation.delete_stack(StackName=name)
        delay = 1 if self.is_local else _CHECK_EVERY
        waiter = self.cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": delay, "MaxAttempts": _DELETION_SECONDS // delay})

    def delete_tables(self, prefix: str) -> None:
        """Delete every table with this name prefix: some tables of a stack outlive it."""
        pages = self.dynamodb.get_paginator("list_tables").paginate()
        for name in [name for page in pages for name in page["TableNames"] if name.startswith(prefix)]:
            # The emulator reads the template's "false" as true.
            if self.dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                self.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            self.dynamodb.delete_table(TableName=name)

    @cached_property
    def _sts(self) -> Any:
        return self._client("sts")

    @cached_property
    def _s3(self) -> "S3Client":
        client: S3Client = self._client("s3")
        return client

    def _sam_environment(self) -> dict[str, str]:
        if self.is_local:
            return local_sam_environment(self._scratch, local_environment(self.endpoint_url, self.secret))
        return {**os.environ, "SAM_CLI_TELEMETRY": "0"}


def _is_refusal(event: "StackEventTypeDef") -> bool:
    reason = event.get("ResourceStatusReason", "")
    return event.get("ResourceStatus", "").endswith("_FAILED") and not reason.startswith(_CONSEQUENCES)


def _error_in(line: str) -> str:
    """Return the error in a line of a function's log; an empty text if there is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line.strip() if "Task timed out" in line else ""
    if not isinstance(entry, dict) or entry.get("level") != "ERROR":
        return ""
    reason = str(entry.get("exception", "")).strip().rpartition("\n")[2]
    return ": ".join(filter(None, [str(entry.get("message") or entry.get("errorMessage")), reason]))
