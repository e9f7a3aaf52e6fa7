"""Checks that the secrets are stored encrypted."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orderwatch.aws.parameters import ACCESS_TOKEN, ACTION_KEY
from orderwatch_cli.checks.report import Finding, fail, ok
from orderwatch_cli.parameters import ENCRYPTED
from orderwatch_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterMetadataTypeDef

_LARGEST_PAGE = 50
"""Maximum number of parameters that one DescribeParameters returns."""


def check_secrets(stack: Stack) -> Iterator[Finding]:
    """Check that every secret is encrypted, without reading values; other checks report missing secrets."""
    secrets = [each for each in _described(stack) if _is_secret(each["Name"], stack.parameters.parameter_prefix)]
    exposed = [each["Name"] for each in secrets if each["Type"] != ENCRYPTED]
    yield from (exposed_finding(name, stack) for name in exposed)
    if secrets and not exposed:
        yield ok("secrets", f"all are of type {ENCRYPTED}")


def exposed_finding(name: str, stack: Stack) -> Finding:
    """Return the problem of a secret that is not encrypted."""
    prefix = stack.parameters.parameter_prefix
    arguments = {
        f"{prefix}/trackstar/api-key": "connect-trackstar",
        f"{prefix}/slack/webhook-url": "connect-slack",
        f"{prefix}/{ACTION_KEY}": "action-links rotate",
    }
    command = stack.commands.own(arguments.get(name, f"connect {name.split('/')[-2]}"))
    return fail(
        "secrets", f"{name} is not encrypted (not a {ENCRYPTED})", "replace it, preferably with a new secret", command
    )


def _described(stack: Stack) -> "Iterator[ParameterMetadataTypeDef]":
    pages = stack.aws.ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [stack.parameters.parameter_prefix]}],
        PaginationConfig={"PageSize": _LARGEST_PAGE},
    )
    for page in pages:
        yield from page["Parameters"]


def _is_secret(name: str, prefix: str) -> bool:
    return name in {f"{prefix}/trackstar/api-key", f"{prefix}/slack/webhook-url", f"{prefix}/{ACTION_KEY}"} or (
        name.startswith(f"{prefix}/connections/") and name.endswith(f"/{ACCESS_TOKEN}")
    )
