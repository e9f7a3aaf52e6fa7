"""AWS's clients, for the account that the environment names or for a local cloud."""

import os
import re
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import boto3
import botocore.session
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from orderwatch.errors import OrderwatchError
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS, find_credentials, find_session_token

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

LONGEST_INVOCATION = 310
"""Seconds: a function of ours lives for at most 300."""
LOCAL_REGION = "us-east-1"
"""Where a local cloud says that it is."""
AWS_ERRORS = (BotoCoreError, ClientError, GetParameterError)
"""What a refusal of AWS, or of its SDK, is raised as."""
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/?")


class EndpointError(OrderwatchError):
    """An address of AWS is no URL of a service."""


def is_endpoint(url: str) -> bool:
    """Whether it can be the URL of AWS or of a local cloud: http or https, a host, a port or none."""
    if not _ENDPOINT.fullmatch(url):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


class Aws:
    """Clients, each made when it is first used.

    An endpoint on this machine is a local cloud: it gets that cloud's own credentials and region, never the user's.

    Leave its `with` block to close their connections.

    Args:
        endpoint_url: Where AWS is; None leaves that to AWS_ENDPOINT_URL and the SDK.

    Raises:
        EndpointError: AWS_ENDPOINT_URL is no URL of a service.
    """

    def __init__(self, *, endpoint_url: str | None = None) -> None:
        self.typed_endpoint = endpoint_url
        self._endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
        if self._endpoint_url and not is_endpoint(self._endpoint_url):
            raise EndpointError(f"AWS_ENDPOINT_URL is no URL: {self._endpoint_url}: it is like http://127.0.0.1:4566")
        self._is_local = urlsplit(self._endpoint_url or "").hostname in LOOPBACK_HOSTS
        self._session = _local_session(find_session_token(self._endpoint_url)) if self._is_local else _users_session()
        self._made: list[BaseClient] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._made:
            client.close()

    @property
    def credentials_file(self) -> Path | None:
        """Of the local cloud, where it is one that this user started."""
        return find_credentials(self._endpoint_url)

    @property
    def local_region(self) -> str:
        """Of the local cloud; empty for AWS, where the user's own settings name it."""
        return LOCAL_REGION if self._is_local else ""

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """Stacks."""
        return self._kept(
            self._session.client("cloudformation", endpoint_url=self._endpoint_url, config=self._config())
        )

    @cached_property
    def cloudwatch(self) -> Any:
        """Metrics."""
        return self._kept(self._session.client("cloudwatch", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """Tables."""
        return self._kept(self._session.client("dynamodb", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda; an invocation is awaited to its end and not repeated."""
        config = self._config(read_timeout=LONGEST_INVOCATION, retries={"mode": "standard", "max_attempts": 1})
        return self._kept(self._session.client("lambda", endpoint_url=self._endpoint_url, config=config))

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """Logs."""
        return self._kept(self._session.client("logs", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def scheduler(self) -> "EventBridgeSchedulerClient":
        """Schedules."""
        return self._kept(self._session.client("scheduler", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def sns(self) -> "SNSClient":
        """Topics."""
        return self._kept(self._session.client("sns", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def sqs(self) -> "SQSClient":
        """Queues."""
        return self._kept(self._session.client("sqs", endpoint_url=self._endpoint_url, config=self._config()))

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameters."""
        return self._kept(self._session.client("ssm", endpoint_url=self._endpoint_url, config=self._config()))

    def _kept[C: BaseClient](self, client: C) -> C:
        self._made.append(client)
        return client

    def _config(self, **settings: Any) -> Config:
        defaults: dict[str, Any] = {"connect_timeout": 5, "retries": {"mode": "standard", "max_attempts": 3}}
        if self._is_local:
            defaults["proxies"] = {}
        return Config(**defaults | settings)


@cache
def _local_session(secret: str | None) -> boto3.Session:
    # One a process and cloud: it keeps the services' descriptions, which take long to load.
    return session_apart(secret)


def _users_session() -> boto3.Session:
    # As for the AWS CLI, AWS_REGION comes first; botocore knows only AWS_DEFAULT_REGION and the profile.
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)


def session_apart(session_token: str | None) -> boto3.Session:
    """A session that reads no profile and no file of the user's; a local cloud serves it only with its secret."""
    apart = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes anything
        aws_session_token=session_token,
        region_name=LOCAL_REGION,
        botocore_session=botocore.session.Session(session_vars=apart),
    )


def explain(error: Exception) -> str:
    """What AWS or its SDK refused, in one line and with the remedy where there is one; never a parameter's value."""
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: set AWS_PROFILE, or AWS_ENDPOINT_URL for a local cloud"
    if isinstance(error, NoRegionError):
        return "no AWS region: set AWS_REGION or your profile's"
    if not isinstance(error, ClientError):
        return " ".join(str(error).split())
    alerted = error.response["Error"]
    code = alerted.get("Code", "unknown error")
    # A refused PutParameter may quote the value.
    message = "" if error.operation_name == "PutParameter" else f": {' '.join(alerted.get('Message', '').split())}"
    return f"AWS refused {error.operation_name} ({code}){message}"
