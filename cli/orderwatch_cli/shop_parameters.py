"""Shops in the Parameter Store: list, add and remove them (`orderwatch.aws.parameters` has the paths)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from orderwatch.aws.parameters import ACCESS_TOKEN, SETTINGS
from orderwatch_cli.secret_parameters import put_secret
from orderwatch_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

NAME = "name"


@dataclass(frozen=True)
class NamedShop:
    """A connection that the Parameter Store knows.

    Attributes:
        connection_id: Trackstar's id of it.
        name: What the operator calls it.
        has_token: Whether there is an access token, without which it is not polled.
    """

    connection_id: str
    name: str | None
    has_token: bool


def named_shops(stack: Stack) -> list[NamedShop]:
    """Every shop of the Parameter Store, sorted by id; nothing is decrypted."""
    found: dict[str, dict[str, str]] = {}
    for connection_id, what, value in _parameters(stack, decrypt=False):
        found.setdefault(connection_id, {})[what] = value
    return [NamedShop(key, values.get(NAME), ACCESS_TOKEN in values) for key, values in sorted(found.items())]


def connected_shops(stack: Stack) -> list[NamedShop]:
    """Those that have an access token."""
    return [shop for shop in named_shops(stack) if shop.has_token]


def access_tokens(stack: Stack) -> dict[str, SecretStr]:
    """The access tokens by connection."""
    parameters = _parameters(stack, decrypt=True)
    return {connection_id: SecretStr(value) for connection_id, what, value in parameters if what == ACCESS_TOKEN}


def put_shop(stack: Stack, connection_id: str, *, access_token: SecretStr, name: str | None) -> None:
    """Store a shop's token, and its name where there is one; what is there is replaced."""
    path, ssm = f"{_path(stack)}/{connection_id}", stack.aws.ssm
    if name:
        ssm.put_parameter(Name=f"{path}/{NAME}", Value=name, Type="String", Overwrite=True)
    # Last: from here on it is polled.
    put_secret(stack, f"{path}/{ACCESS_TOKEN}", access_token)


def delete_shop(stack: Stack, connection_id: str) -> bool:
    """Delete a shop's parameters; False where there were none."""
    names = [f"{_path(stack)}/{connection_id}/{what}" for what in (ACCESS_TOKEN, NAME, SETTINGS)]
    return bool(stack.aws.ssm.delete_parameters(Names=names).get("DeletedParameters"))


def _path(stack: Stack) -> str:
    return f"{stack.parameters.parameter_prefix}/connections"


def _parameters(stack: Stack, *, decrypt: bool) -> Iterator[tuple[str, str, str]]:
    """Connection id, what it is, value."""
    path = _path(stack)
    pages = stack.aws.ssm.get_paginator("get_parameters_by_path").paginate(
        Path=path, Recursive=True, WithDecryption=decrypt
    )
    for page in pages:
        yield from (_split(each, path) for each in page["Parameters"])


def _split(parameter: "ParameterTypeDef", path: str) -> tuple[str, str, str]:
    connection_id, _, what = parameter["Name"].removeprefix(f"{path}/").rpartition("/")
    return connection_id, what, parameter["Value"]
