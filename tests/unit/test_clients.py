"""Timeouts of the functions' AWS clients."""

from collections.abc import Callable
from typing import Any

import pytest

from orderwatch.aws import clients
from orderwatch.aws.clients import CONNECT_SECONDS, READ_SECONDS, TRIES
from tests.support.account import FUNCTIONS
from tests.support.template import load_template

RESOURCES = load_template()["Resources"]


@pytest.mark.parametrize(
    "build", [clients.dynamodb, clients.sns, clients.sqs, clients.ssm], ids=lambda each: each.__name__
)
def test_every_client_has_short_timeouts(build: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config = build().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_hanging_request_ends_within_the_invocation(function: str) -> None:
    assert RESOURCES[function]["Properties"]["Timeout"] > TRIES * (CONNECT_SECONDS + READ_SECONDS)
