"""doctor's look at how the secrets are stored."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orderwatch.aws.parameters import ACCESS_TOKEN
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.secret_parameters import ENCRYPTED
from orderwatch_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterMetadataTypeDef

_LARGEST_PAGE = 50
"""Parameters a request of DescribeParameters, at most."""


def examine_secrets(stack: Stack) -> Iterator[Finding]:
    """Whether every secret is encrypted; no value is read. One that is missing is another check's."""
    secrets = [each for each in _described(stack) if _is_secret(each["Name"], stack.parameters.parameter_prefix)]
    exposed = [each["Name"] for each in secrets if each["Type"] != ENCRYPTED]
    yield from (exposed_finding(name, stack) for name in exposed)
    if secrets and not exposed:
        yield good("secrets", f"each is a {ENCRYPTED}")


def exposed_finding(name: str, stack: Stack) -> Finding:
    """What to do about a secret that is stored in the clear."""
    prefix = stack.parameters.parameter_prefix
    words = {f"{prefix}/trackstar/api-key": "connect-trackstar", f"{prefix}/slack/webhook-url": "connect-slack"}
    command = stack.commands.own(words.get(name, f"connect {name.split('/')[-2]}"))
    return bad(
        "secrets", f"{name} is no {ENCRYPTED}: it is stored in the clear", "replace it, best by a new one", command
    )


def _described(stack: Stack) -> "Iterator[ParameterMetadataTypeDef]":
    pages = stack.aws.ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [stack.parameters.parameter_prefix]}],
        PaginationConfig={"PageSize": _LARGEST_PAGE},
    )
    for page in pages:
        yield from page["Parameters"]


def _is_secret(name: str, prefix: str) -> bool:
    return name in {f"{prefix}/trackstar/api-key", f"{prefix}/slack/webhook-url"} or (
        name.startswith(f"{prefix}/connections/") and name.endswith(f"/{ACCESS_TOKEN}")
    )
