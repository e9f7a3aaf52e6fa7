"""doctor's look at how the secrets are stored."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orderwatch.aws.parameters import ACCESS_TOKEN
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterMetadataTypeDef

_ENCRYPTED = "SecureString"
_LARGEST_PAGE = 50
"""Parameters a request of DescribeParameters, at most."""


def examine_secrets(stack: Stack) -> Iterator[Finding]:
    """Whether every secret is encrypted; no value is read. One that is missing is another check's."""
    secrets = [each for each in _described(stack) if _is_secret(each["Name"], stack.parameters.parameter_prefix)]
    exposed = [each["Name"] for each in secrets if each["Type"] != _ENCRYPTED]
    yield from (exposed_finding(name) for name in exposed)
    if secrets and not exposed:
        yield good("secrets", f"each is a {_ENCRYPTED}")


def exposed_finding(name: str) -> Finding:
    """What to do about a secret that is stored in the clear."""
    # Deleted first: the history of an overwritten parameter keeps its old values.
    put = f"aws ssm put-parameter --type {_ENCRYPTED} --name {name} --value ..."
    remedy = f"aws ssm delete-parameter --name {name}; {put}"
    return bad("secrets", f"{name} is no {_ENCRYPTED}: it is stored in the clear", remedy)


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
