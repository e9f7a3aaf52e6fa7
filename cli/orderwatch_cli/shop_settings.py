"""`orderwatch settings`: a shop's own time zone, working days, holidays, warning and stuck days."""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import holidays
from pydantic import ValidationError

from orderwatch.aws.parameters import SETTINGS
from orderwatch.errors import OrderwatchError
from orderwatch.shop_settings import WEEKDAYS, ShopSettings, ShopSettingsError, flaws_of, read_shop_settings
from orderwatch_cli.shop_parameters import connected_shops
from orderwatch_cli.stack import Stack

MAX_VALUE = 4096
"""Characters of a parameter's value; more is an advanced parameter, which costs money."""


class SettingsError(OrderwatchError):
    """The settings cannot be shown or written as asked: says why and what to do."""


def shop_settings(stack: Stack, connection_id: str) -> ShopSettings:
    """The shop's own settings.

    Raises:
        SettingsError: There is no such shop, or its settings cannot be read.
    """
    _require_shop(stack, connection_id)
    ssm = stack.aws.ssm
    try:
        value = ssm.get_parameter(Name=_name(stack, connection_id))["Parameter"]["Value"]
        return read_shop_settings(value)
    except ssm.exceptions.ParameterNotFound:
        return ShopSettings()
    except ShopSettingsError as error:
        raise SettingsError(f"{error}: delete them with --remove and put them again") from None


def put_settings(stack: Stack, connection_id: str, changes: dict[str, Any]) -> ShopSettings:
    """Write what is given; the shop's other settings stay.

    Raises:
        SettingsError: There is no such shop, or the settings cannot be used.
    """
    before = shop_settings(stack, connection_id).model_dump(exclude_none=True)
    try:
        after = ShopSettings.model_validate(before | changes)
    except ValidationError as error:
        raise SettingsError(f"cannot be used: {flaws_of(error)}; nothing was stored") from None
    value = as_text(after)
    if len(value) > MAX_VALUE:
        raise SettingsError(f"{len(value)} characters, a parameter takes {MAX_VALUE}: give fewer holidays")
    stack.aws.ssm.put_parameter(Name=_name(stack, connection_id), Value=value, Type="String", Overwrite=True)
    return after


def remove_settings(stack: Stack, connection_id: str) -> None:
    """Delete the shop's settings: the stack's apply.

    Raises:
        SettingsError: There is no such shop.
    """
    _require_shop(stack, connection_id)
    stack.aws.ssm.delete_parameters(Names=[_name(stack, connection_id)])


def as_text(settings: ShopSettings) -> str:
    """The parameter's value: sets in an order that people expect."""
    plain = settings.model_dump(mode="json", exclude_none=True)
    if settings.working_days:
        plain["working_days"] = [day for day in WEEKDAYS if day in settings.working_days]
    if settings.holidays:
        plain["holidays"] = sorted(plain["holidays"])
    return json.dumps(plain)


def holidays_of(places: Iterable[str], *, years: Sequence[int]) -> frozenset[date]:
    """The public holidays of countries, or parts of them.

    Args:
        places: ISO 3166 codes such as `DE`, `DE-BY`, `US`.
        years: Which.

    Raises:
        SettingsError: A place is not known.
    """
    return frozenset(day for place in places for day in _holidays_of(place, years))


def _holidays_of(place: str, years: Sequence[int]) -> Iterable[date]:
    country, _, part = place.upper().partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError:
        hint = "give a country such as DE, or a part of it such as DE-BY"
        raise SettingsError(f"the holidays of {place!r} are not known: {hint}") from None


def _require_shop(stack: Stack, connection_id: str) -> None:
    if connection_id not in {shop.connection_id for shop in connected_shops(stack)}:
        raise SettingsError(f"no shop {connection_id} is connected: `orderwatch shops` lists them")


def _name(stack: Stack, connection_id: str) -> str:
    return f"{stack.parameters.parameter_prefix}/connections/{connection_id}/{SETTINGS}"
