"""The Parameter Store as an operator changes it: secrets and shops (`orderwatch.aws.parameters` has the paths)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.parameters import ACCESS_TOKEN, NAME, SETTINGS
from orderwatch.errors import OrderwatchError
from orderwatch.shop_settings import ShopSettings, ShopSettingsError, read_shop_settings
from orderwatch_cli.stack import Stack

ENCRYPTED: Final = "SecureString"


@dataclass(frozen=True)
class NamedShop:
    """A shop that has parameters.

    Attributes:
        connection_id: Trackstar's ID of the connection.
        name: The operator's name for the shop.
        has_token: Whether it has an access token; a shop without one is not polled.
    """

    connection_id: str
    name: str | None
    has_token: bool


def named_shops(stack: Stack) -> list[NamedShop]:
    """Return every shop that has parameters, sorted by connection ID; no token is decrypted."""
    found: dict[str, dict[str, str]] = {}
    for connection_id, what, value in _shop_parameters(stack, decrypt=False):
        found.setdefault(connection_id, {})[what] = value
    return [NamedShop(key, values.get(NAME), ACCESS_TOKEN in values) for key, values in sorted(found.items())]


class SettingsError(OrderwatchError):
    """The settings cannot be read or changed; the message says why and what to do."""


def stored_settings(stack: Stack, connection_id: str) -> ShopSettings:
    """Return the shop's own settings.

    Raises:
        SettingsError: The settings cannot be read.
    """
    ssm = stack.aws.ssm
    try:
        value = ssm.get_parameter(Name=settings_path(stack, connection_id))["Parameter"]["Value"]
        return read_shop_settings(value)
    except ssm.exceptions.ParameterNotFound:
        return ShopSettings()
    except ShopSettingsError as error:
        raise SettingsError(f"{error}: delete them with --remove and set them again") from None


def settings_path(stack: Stack, connection_id: str) -> str:
    """Return the name of the parameter with the shop's settings."""
    return f"{_shops_path(stack)}/{connection_id}/{SETTINGS}"


def connected_shops(stack: Stack) -> list[NamedShop]:
    """Return the shops that have an access token."""
    return [shop for shop in named_shops(stack) if shop.has_token]


def access_tokens(stack: Stack) -> dict[str, SecretStr]:
    """Return the access tokens by connection ID."""
    parameters = _shop_parameters(stack, decrypt=True)
    return {connection_id: SecretStr(value) for connection_id, what, value in parameters if what == ACCESS_TOKEN}


def put_shop(stack: Stack, connection_id: str, *, access_token: SecretStr, name: str | None) -> None:
    """Store a shop's token, and its name if one is given, and watch it; both replace older values."""
    path, ssm = f"{_shops_path(stack)}/{connection_id}", stack.aws.ssm
    if name:
        ssm.put_parameter(Name=f"{path}/{NAME}", Value=name, Type="String", Overwrite=True)
    put_secret(stack, f"{path}/{ACCESS_TOKEN}", access_token)
    _registry(stack).watch(connection_id)  # last, because the next tick polls it


def delete_shop(stack: Stack, connection_id: str) -> None:
    """Delete a shop's parameters and stop watching it."""
    names = [f"{_shops_path(stack)}/{connection_id}/{what}" for what in (ACCESS_TOKEN, NAME, SETTINGS)]
    stack.aws.ssm.delete_parameters(Names=names)
    _registry(stack).unwatch(connection_id)


def put_secret(stack: Stack, name: str, value: SecretStr) -> None:
    """Store a secret encrypted with the stack's key, else AWS's; an older value is replaced.

    An unencrypted parameter is deleted first: AWS cannot change its type, and its history keeps the old values.

    Args:
        stack: The stack.
        name: Name of the parameter, with its path.
        value: The secret.
    """
    ssm = stack.aws.ssm
    found = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}])
    if any(each["Type"] != ENCRYPTED for each in found["Parameters"]):
        ssm.delete_parameter(Name=name)
    key: Any = {"KeyId": key_arn} if (key_arn := stack.parameters.kms_key_arn) else {}
    ssm.put_parameter(Name=name, Value=value.get_secret_value(), Type=ENCRYPTED, Overwrite=True, **key)


def _registry(stack: Stack) -> ConnectionTable:
    return ConnectionTable(stack.aws.dynamodb, stack.outputs.connection_table_name)


def _shops_path(stack: Stack) -> str:
    return f"{stack.parameters.parameter_prefix}/connections"


def _shop_parameters(stack: Stack, *, decrypt: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the connection ID, the last part of the name, and the value of each parameter."""
    path = _shops_path(stack)
    pages = stack.aws.ssm.get_paginator("get_parameters_by_path").paginate(
        Path=path, Recursive=True, WithDecryption=decrypt
    )
    for parameter in (each for page in pages for each in page["Parameters"]):
        connection_id, _, what = parameter["Name"].removeprefix(f"{path}/").rpartition("/")
        yield connection_id, what, parameter["Value"]
