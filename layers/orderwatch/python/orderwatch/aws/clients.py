"""The boto3 clients of the functions, all with the same timeouts.

boto3's default timeout is 60 seconds: one request that hangs could use up an invocation (60 to 300 seconds).
"""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

CONNECT_SECONDS = 3
READ_SECONDS = 10
TRIES = 3
"""Attempts of one request, the first included: 39 seconds and the backoff if nothing responds."""
LIST_TRIES = 9
"""Attempts of one request that lists parameters: SSM throttles it early in accounts with many parameters."""


def _config(tries: int = TRIES) -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": tries},
    )


def dynamodb() -> "DynamoDBClient":
    """Build a client of DynamoDB."""
    return boto3.client("dynamodb", config=_config())


def sns() -> "SNSClient":
    """Build a client of SNS."""
    return boto3.client("sns", config=_config())


def sqs() -> "SQSClient":
    """Build a client of SQS."""
    return boto3.client("sqs", config=_config())


def ssm(*, tries: int = TRIES) -> "SSMClient":
    """Build a client of the Parameter Store; `LIST_TRIES` is for callers that list parameters."""
    return boto3.client("ssm", config=_config(tries))
