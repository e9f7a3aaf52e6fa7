"""Clients of AWS, for the account that the environment selects or for a local cloud."""

import os
import re
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.client import BaseClient
from botocore.config import Config

from orderwatch.errors import OrderwatchError
from orderwatch_cli.aws_errors import translated_errors
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
"""Seconds; our functions time out after at most 300."""
LOCAL_REGION = "us-east-1"
"""Region of a local cloud."""
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/?")


class EndpointError(OrderwatchError):
    """The endpoint of AWS is not a URL."""


def is_endpoint(url: str) -> bool:
    """Whether this is the URL of an endpoint: http or https, a host, and an optional port."""
    if not _ENDPOINT.fullmatch(url):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


class Aws:
    """Clients, each created at its first use; the end of the `with` block closes their connections.

    An endpoint on this machine is a local cloud. It gets its own credentials and region, never the user's.

    Args:
        endpoint_url: Endpoint of AWS; None: AWS_ENDPOINT_URL, otherwise the SDK's default.

    Raises:
        EndpointError: AWS_ENDPOINT_URL is not a URL.
    """

    def __init__(self, *, endpoint_url: str | None = None) -> None:
        self.typed_endpoint = endpoint_url
        self._endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
        if self._endpoint_url and not is_endpoint(self._endpoint_url):
            raise EndpointError(f"AWS_ENDPOINT_URL is not a URL such as http://127.0.0.1:4566: {self._endpoint_url}")
        self._is_local = urlsplit(self._endpoint_url or "").hostname in LOOPBACK_HOSTS
        self._clients: list[BaseClient] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()

    @property
    def credentials_file(self) -> Path | None:
        """Credentials file of a local cloud that this user started."""
        return find_credentials(self._endpoint_url)

    @property
    def local_region(self) -> str:
        """Region of a local cloud; empty for AWS, where the user's settings have it."""
        return LOCAL_REGION if self._is_local else ""

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """Stacks."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @cached_property
    def cloudwatch(self) -> Any:
        """Metrics."""
        return self._client("cloudwatch")

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """Tables."""
        client: DynamoDBClient = self._client("dynamodb")
        return client

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda; waits for the end of an invocation and does not retry it."""
        once = {"mode": "standard", "max_attempts": 1}
        client: LambdaClient = self._client("lambda", read_timeout=LONGEST_INVOCATION, retries=once)
        return client

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """Logs."""
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @cached_property
    def scheduler(self) -> "EventBridgeSchedulerClient":
        """Schedules."""
        client: EventBridgeSchedulerClient = self._client("scheduler")
        return client

    @cached_property
    def sns(self) -> "SNSClient":
        """Topics."""
        client: SNSClient = self._client("sns")
        return client

    @cached_property
    def sqs(self) -> "SQSClient":
        """Queues."""
        client: SQSClient = self._client("sqs")
        return client

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameters."""
        client: SSMClient = self._client("ssm")
        return client

    @cached_property
    def _session(self) -> boto3.Session:
        return _local_session(find_session_token(self._endpoint_url)) if self._is_local else _users_session()

    def _client(self, service: Any, **settings: Any) -> Any:
        session = self._session
        with translated_errors():
            client = session.client(service, endpoint_url=self._endpoint_url, config=self._config(**settings))
        self._clients.append(client)
        return client

    def _config(self, **settings: Any) -> Config:
        defaults: dict[str, Any] = {"connect_timeout": 5, "retries": {"mode": "standard", "max_attempts": 3}}
        if self._is_local:
            defaults["proxies"] = {}
        return Config(**defaults | settings)


@cache
def _local_session(secret: str | None) -> boto3.Session:
    # Cached, because loading the descriptions of the services is slow.
    return isolated_session(secret)


def _users_session() -> boto3.Session:
    with translated_errors():
        # The AWS CLI prefers AWS_REGION too; botocore reads only AWS_DEFAULT_REGION and the profile.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        if credentials := session.get_credentials():
            credentials.get_frozen_credentials()  # signs in here instead of in the middle of a command
        return session


def isolated_session(session_token: str | None) -> boto3.Session:
    """Create a session that reads none of the user's profiles and files; a local cloud requires its own token."""
    isolated = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator accepts any
        aws_session_token=session_token,
        region_name=LOCAL_REGION,
        botocore_session=botocore.session.Session(session_vars=isolated),
    )
