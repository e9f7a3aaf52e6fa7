"""`orderwatch settings`: a shop's own calendar, deadlines, quiet hours and warehouse names."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date
from typing import Annotated, Any

import holidays
import typer
from pydantic import ValidationError

from orderwatch import clock
from orderwatch.shop_settings import (
    DEFAULT_WORKING_DAYS,
    WEEKDAYS,
    ShopSettings,
    flaws_of,
)
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, ShopArgument, StackName, stack_at
from orderwatch_cli.filters import find_shop
from orderwatch_cli.parameters import NamedShop, SettingsError, connected_shops, settings_path, stored_settings
from orderwatch_cli.stack import STACK_NAME, Stack, StackParameters

MAX_VALUE = 4096
"""Characters of a parameter's value; a longer value needs an advanced parameter, which costs money."""


def settings(
    shop: ShopArgument,
    *,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of the shop, such as Europe/Berlin.")
    ] = None,
    working_days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Working days, such as mon,tue,wed,thu,fri.")
    ] = None,
    holidays_in: Annotated[
        list[str] | None,
        typer.Option("--holidays-of", metavar="PLACE", help="Country or region whose holidays apply: DE or DE-BY."),
    ] = None,
    holiday: Annotated[
        list[str] | None, typer.Option(metavar="DATE", help="One more holiday, such as 2026-12-24.")
    ] = None,
    late_warning_hours: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Hours between the warning and the ship-by date; 0: no warning.")
    ] = None,
    stuck_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Business days until an order is stuck; 0: never.")
    ] = None,
    reminder_hours: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Business hours between reminders about an order; 0: none.")
    ] = None,
    quiet_hours: Annotated[
        str | None,
        typer.Option(
            metavar="TIMES",
            help='When alerts that are not critical wait: 20:00-07:00, "20:00-07:00 working days", or off.',
        ),
    ] = None,
    warehouse: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=NAME", help="Name of a warehouse, such as wh_01HZX=Hamburg; wh_01HZX= removes it."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete all settings of the shop first.")] = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show or change a shop's settings.

    The stack's settings apply to everything that the shop does not set. --holidays-of sets the holidays of this year
    and the next, and replaces older ones; --holiday alone adds a date. --warehouse can be repeated; a warehouse that
    has no name here is shown with Trackstar's name, else with its ID. --quiet-hours are in the shop's time zone; alerts
    that wait are sent within 15 minutes after they end.
    """
    given: dict[str, Any] = {
        "time_zone": time_zone,
        "working_days": working_days.split(",") if working_days else None,
        "late_warning_hours": late_warning_hours,
        "stuck_days": stuck_days,
        "reminder_hours": reminder_hours,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    with stack_at(stack_name, endpoint_url) as stack:
        found_shop = _connected_shop(stack, shop)
        connection_id = found_shop.connection_id
        if remove:
            remove_settings(stack, connection_id)
        if holidays_in or holiday:
            changes["holidays"] = _new_holidays(stack, connection_id, holidays_in or [], holiday or [])
        if quiet_hours is not None:
            changes["quiet_hours"] = None if quiet_hours.strip().lower() == "off" else quiet_hours
        if warehouse:
            changes["warehouses"] = _new_warehouses(stack, connection_id, warehouse)
        found = put_settings(stack, connection_id, changes) if changes else stored_settings(stack, connection_id)
        if json:
            output.line(as_text(found), to_copy=True)
        else:
            output.line(f"{found_shop.name} ({connection_id})" if found_shop.name else connection_id)
            _print(found, stack.parameters, is_changed=bool(changes or remove))


def _new_holidays(stack: Stack, connection_id: str, places: list[str], days: list[str]) -> list[Any]:
    year = clock.now().astimezone(UTC).year
    before = () if places else stored_settings(stack, connection_id).holidays or ()
    return [*before, *holidays_of(places, years=(year, year + 1)), *days]


def _new_warehouses(stack: Stack, connection_id: str, given: list[str]) -> dict[str, str] | None:
    names = dict(stored_settings(stack, connection_id).warehouses or {})
    for each in given:
        warehouse_id, separator, name = (part.strip() for part in each.partition("="))
        if not (warehouse_id and separator):
            raise SettingsError(f"--warehouse {each!r} is not ID=NAME, such as wh_01HZX=Hamburg; nothing was stored")
        names |= {warehouse_id: name}
    return {warehouse_id: name for warehouse_id, name in names.items() if name} or None


def _print(found: ShopSettings, parameters: StackParameters, *, is_changed: bool) -> None:
    own = json.loads(as_text(found))
    stacks = {
        "time_zone": parameters.time_zone,
        "working_days": [day for day in WEEKDAYS if day in DEFAULT_WORKING_DAYS],
        "holidays": [],
        "late_warning_hours": parameters.late_warning_hours,
        "stuck_days": parameters.stuck_days,
        "reminder_hours": parameters.reminder_hours,
        "quiet_hours": "none",
    }
    rows = [
        (name.replace("_", " "), _shown(own.get(name, value)), "shop" if name in own else "stack")
        for name, value in stacks.items()
    ]
    named = [f"{warehouse_id}={name}" for warehouse_id, name in (found.warehouses or {}).items()]
    rows.append(("warehouses", _shown(named or ["as Trackstar names them"]), "shop" if named else "Trackstar"))
    output.table(("setting", "value", "set by"), rows, empty="", flexible=("value",))
    if is_changed:
        output.line("Polls use them within 20 minutes. Deadlines that they put in the past raise no alert.")


def _shown(value: Any) -> Any:
    return (", ".join(value) or "none") if isinstance(value, list) else value


def put_settings(stack: Stack, connection_id: str, changes: dict[str, Any]) -> ShopSettings:
    """Change some settings; the others stay.

    Raises:
        SettingsError: The settings are not valid.
    """
    before = stored_settings(stack, connection_id).model_dump(exclude_none=True)
    try:
        after = ShopSettings.model_validate(before | changes)
    except ValidationError as error:
        raise SettingsError(f"not valid: {flaws_of(error)}; nothing was stored") from None
    value = as_text(after)
    if len(value) > MAX_VALUE:
        hint = "set fewer holidays or warehouses, or shorter names; nothing was stored"
        raise SettingsError(f"{len(value)} characters, and a parameter holds {MAX_VALUE}: {hint}")
    stack.aws.ssm.put_parameter(Name=settings_path(stack, connection_id), Value=value, Type="String", Overwrite=True)
    return after


def remove_settings(stack: Stack, connection_id: str) -> None:
    """Delete the shop's settings, so that the stack's apply."""
    stack.aws.ssm.delete_parameters(Names=[settings_path(stack, connection_id)])


def as_text(settings: ShopSettings) -> str:
    """Format the parameter's value; days are sorted."""
    plain = settings.model_dump(mode="json", exclude_none=True)
    if settings.working_days:
        plain["working_days"] = [day for day in WEEKDAYS if day in settings.working_days]
    if settings.holidays:
        plain["holidays"] = sorted(plain["holidays"])
    return json.dumps(plain)


def holidays_of(places: Iterable[str], *, years: Sequence[int]) -> frozenset[date]:
    """Return the public holidays of countries or regions.

    Args:
        places: ISO 3166 codes such as `DE`, `DE-BY`, `US`.
        years: The years.

    Raises:
        SettingsError: A place is unknown.
    """
    return frozenset(day for place in places for day in _holidays_of(place, years))


def _holidays_of(place: str, years: Sequence[int]) -> Iterable[date]:
    country, _, part = place.upper().partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError:
        hint = "use a country such as DE or a region such as DE-BY"
        raise SettingsError(f"the holidays of {place!r} are unknown: {hint}") from None


def _connected_shop(stack: Stack, text: str) -> NamedShop:
    shops = {shop.connection_id: shop for shop in connected_shops(stack)}
    found = find_shop(stack, text, among=shops)
    if found is None:
        raise SettingsError(f"no shop {text} is connected; list the shops with: {stack.commands.own('shops')}")
    return shops[found]
