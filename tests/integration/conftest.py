"""Adapters against their counterparts: moto in this process, or the DynamoDB at AWS_ENDPOINT_URL_DYNAMODB."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.cloud import Inbox, Tables, create_tables

OTHER_DYNAMODB = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of its own for each test; nothing reaches a real one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def tables(aws: None) -> Iterator[Tables]:
    """The template's tables, empty."""
    yield from create_tables(_dynamodb())


@cache
def _dynamodb() -> Any:
    """One client for all tests: to build it takes longer than most of them."""
    return boto3.client("dynamodb", endpoint_url=OTHER_DYNAMODB)


@pytest.fixture
def inbox(aws: None) -> Inbox:
    """A queue that gets what is published to the topic."""
    return Inbox.subscribed()
