"""Timeouts and attempts of the functions' AWS clients."""

from collections.abc import Callable
from typing import Any

import pytest

from orderwatch.aws import clients
from orderwatch.aws.clients import CONNECT_SECONDS, LIST_TRIES, READ_SECONDS, TRIES
from tests.support.template import load_template

TIMEOUTS = {
    name: resource["Properties"]["Timeout"]
    for name, resource in load_template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}


@pytest.mark.parametrize(
    ("build", "attempts"),
    [
        (clients.dynamodb, 3),
        (clients.sns, 3),
        (clients.sqs, 3),
        (clients.ssm, 3),
        (lambda: clients.ssm(tries=LIST_TRIES), 9),
    ],
    ids=["dynamodb", "sns", "sqs", "ssm", "ssm for lists"],
)
def test_every_client_has_short_timeouts(
    build: Callable[[], Any], attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config = build().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)
    assert config.retries == {"mode": "standard", "total_max_attempts": attempts}


def test_a_hanging_request_ends_within_every_invocation() -> None:
    assert min(TIMEOUTS.values()) > TRIES * (CONNECT_SECONDS + READ_SECONDS)
