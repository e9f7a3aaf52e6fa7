"""`orderwatch settings` as it is typed."""

from datetime import UTC
from typing import Annotated, Any

import typer

from orderwatch import clock
from orderwatch.shop_settings import ShopSettings
from orderwatch_cli import show
from orderwatch_cli.arguments import ConnectionId, Endpoint, Json, StackName, stack_at
from orderwatch_cli.shop_settings import as_text, holidays_of, put_settings, remove_settings, shop_settings
from orderwatch_cli.stack import STACK_NAME, Stack

app = typer.Typer(rich_markup_mode=None)


@app.command()
def settings(
    connection_id: ConnectionId,
    *,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Where its days end, such as Europe/Berlin.")
    ] = None,
    working_days: Annotated[str | None, typer.Option(metavar="DAYS", help="Such as mon,tue,wed,thu,fri.")] = None,
    holidays_in: Annotated[
        list[str] | None,
        typer.Option("--holidays-of", metavar="PLACE", help="A country's of this year and the next: DE, or DE-BY."),
    ] = None,
    holiday: Annotated[list[str] | None, typer.Option(metavar="DATE", help="One more day, such as 2026-12-24.")] = None,
    late_warning_hours: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Warn so long before the ship-by; 0: never.")
    ] = None,
    stuck_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Business days until an order is stuck; 0: never.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete all of them.")] = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show or change a shop's own settings.

    For what it does not set, the stack's apply. Holidays replace those that were set before, except where --holiday is
    given alone: it adds one.
    """
    given: dict[str, Any] = {
        "time_zone": time_zone,
        "working_days": working_days.split(",") if working_days else None,
        "late_warning_hours": late_warning_hours,
        "stuck_days": stuck_days,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    with stack_at(stack_name, endpoint_url) as stack:
        if remove:
            remove_settings(stack, connection_id)
        if holidays_in or holiday:
            changes["holidays"] = _holidays(stack, connection_id, holidays_in or [], holiday or [])
        found = put_settings(stack, connection_id, changes) if changes else shop_settings(stack, connection_id)
    if json:
        show.line(as_text(found))
    else:
        _show(found, connection_id, is_changed=bool(changes or remove))


def _holidays(stack: Stack, connection_id: str, places: list[str], days: list[str]) -> list[Any]:
    year = clock.now().astimezone(UTC).year
    before = () if places else shop_settings(stack, connection_id).holidays or ()
    return [*before, *holidays_of(places, years=(year, year + 1)), *days]


def _show(found: ShopSettings, connection_id: str, *, is_changed: bool) -> None:
    if found == ShopSettings():
        show.line(f"{connection_id} has no settings of its own: the stack's apply")
    else:
        show.line(as_text(found))
    if is_changed:
        show.line(
            "The next poll takes them up, within a quarter of an hour. "
            "What is past by them already is counted, not alerted."
        )
