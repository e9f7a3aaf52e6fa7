"""`orderwatch take`, `snooze` and `release`: who works on an order that needs attention (rule 24)."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.kinds import status_phrase
from orderwatch.aws.order_table import OrderTable
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.errors import OrderwatchError
from orderwatch.ownership import Ownership, snoozed, taken
from orderwatch.records import StoredOrder
from orderwatch.rendering.formatting import moment, with_hash
from orderwatch.shop_settings import WEEKDAYS, ShopSettings, Weekday, time_zone
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, Shop, StackName, own_name, stack_at
from orderwatch_cli.filters import resolve_shop
from orderwatch_cli.parameters import NamedShop, SettingsError, connected_shops, stored_settings
from orderwatch_cli.stack import STACK_NAME, Stack

MAX_TRIES = 5
"""How often the row of an order that keeps changing is written again."""
MAX_CANDIDATES = 5
UNTIL_EXAMPLES = '"Mon 9:00", "tomorrow 9:00", 17:30 or 2026-03-09T09:00'
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Orders = Annotated[
    list[str], typer.Argument(metavar="ORDER...", help="Numbers or IDs of orders that need attention.", show_default="")
]
Note = Annotated[str | None, typer.Option(metavar="NOTE", help='Note that messages and the list show; "" removes it.')]


class UnknownOrderError(OrderwatchError):
    """No order, or several, have the number; the message names candidates."""


class OrderChangedError(OrderwatchError):
    """An order no longer is what it was when the command began; the message says what it is now."""


class OwnedOrder(BaseModel):
    """An order, after the command.

    Attributes:
        connection_id: The shop's connection.
        shop: The operator's name for the shop, otherwise the connection ID.
        order_id: Trackstar's ID of the order.
        order_number: The number that people use.
        status: Its status.
        owner: Who has taken it.
        taken_at: When it was taken.
        snoozed_until: When its snooze ends.
        note: The note.
        previous_owner: Who had it before the command.
        next_reminder_at: When it is reminded about, unless it is resolved before; None: never.
    """

    connection_id: str
    shop: str
    order_id: str
    order_number: str
    status: str
    owner: str | None = None
    taken_at: datetime | None = None
    snoozed_until: datetime | None = None
    note: str | None = None
    previous_owner: str | None = None
    next_reminder_at: datetime | None = None


@dataclass(frozen=True)
class FoundOrder:
    """An order that a command names, and its row."""

    shop: NamedShop
    id: str
    row: StoredOrder

    @property
    def label(self) -> str:
        """Such as `#1042 at Nordic Outdoor`."""
        return f"{with_hash(self.row.order_number)} at {self.shop.name or self.shop.connection_id}"


class ShopRules:
    """The rules and the time zone of each shop, read when they are first needed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._settings: dict[str, ShopSettings] = {}

    def zone(self, connection_id: str) -> tzinfo:
        """The shop's time zone."""
        return time_zone(self._of(connection_id).time_zone or self._stack.parameters.time_zone)

    def rules(self, connection_id: str) -> DeadlineRules | None:
        """The shop's rules; None if deadlines are not watched."""
        parameters = self._stack.parameters
        if not parameters.watches_deadlines:
            return None
        return DeadlineRules.of(
            self._of(connection_id),
            zone=time_zone(parameters.time_zone),
            late_warning_hours=parameters.late_warning_hours,
            stuck_days=parameters.stuck_days,
            reminder_hours=parameters.reminder_hours,
            max_reminders=parameters.max_reminders,
        )

    def _of(self, connection_id: str) -> ShopSettings:
        if connection_id not in self._settings:
            try:
                self._settings[connection_id] = stored_settings(self._stack, connection_id)
            except SettingsError:  # the stack's apply, as in a poll
                self._settings[connection_id] = ShopSettings()
        return self._settings[connection_id]


type Change = Callable[[FoundOrder, datetime], Ownership | None]
"""The new ownership of an order at a time."""


def take(
    orders: Orders,
    *,
    shop: Shop = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Your name (default: that of your account).")] = None,
    note: Note = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Take orders, so that others know who works on them.

    Your name is in later messages and in the summary until the order no longer needs attention. Its next reminder comes
    after three days. An order that somebody else has is yours from then on.
    """
    name = by if by is not None else own_name()
    with stack_at(stack_name, endpoint_url) as stack:
        rules = ShopRules(stack)
        _run(
            stack, orders, shop, rules, lambda order, at: taken(order.row.ownership, name, at=at, note=note), json=json
        )


def snooze(
    orders: Orders,
    *,
    shop: Shop = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help=f"End of the snooze, in the shop's time zone: {UNTIL_EXAMPLES}.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="Duration of the snooze: 90m, 4h or 2d.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Also take the orders under this name.")] = None,
    note: Note = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Snooze orders until a time, at which you are reminded.

    The owner of an order stays. A new status, a missed ship-by and stock that is back are still alerted.
    """
    if (until is None) == (duration is None):
        raise typer.BadParameter("give either --until or --for")
    span = _span(duration) if duration is not None else None
    with stack_at(stack_name, endpoint_url) as stack:
        rules = ShopRules(stack)

        def change(order: FoundOrder, at: datetime) -> Ownership:
            zone = rules.zone(order.shop.connection_id)
            end = at + span if span else snooze_end(until or "", now=at, zone=zone)
            before = taken(order.row.ownership, by, at=at) if by is not None else order.row.ownership
            return snoozed(before, until=end, at=at, note=note)

        _run(stack, orders, shop, rules, change, json=json)


def release(
    orders: Orders,
    *,
    shop: Shop = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Release orders that were taken or snoozed.

    Owner, snooze and note are removed. Reminders are counted from now.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        _run(stack, orders, shop, ShopRules(stack), lambda _order, _at: None, json=json)


def _run(stack: Stack, texts: Sequence[str], shop: str | None, rules: ShopRules, change: Change, *, json: bool) -> None:
    found = find_orders(stack, texts, shop=resolve_shop(stack, shop) if shop else None)
    done: list[OwnedOrder] = []
    failed: list[str] = []
    for order in found:
        try:
            done.append(set_ownership(stack, order, change, rules))
        except OrderChangedError as error:
            failed.append(str(error))
    if json:
        output.document(done)
    else:
        for each in done:
            output.line(_described(each, rules.zone(each.connection_id)))
    if failed:
        raise OrderChangedError("; ".join(failed))


def find_orders(stack: Stack, texts: Sequence[str], *, shop: str | None = None) -> list[FoundOrder]:
    """Return the orders with these numbers or IDs, each once; all of them need attention.

    Args:
        stack: The stack.
        texts: Numbers, with or without a hash sign, or IDs.
        shop: Only orders of this connection.

    Raises:
        UnknownOrderError: No order that needs attention has a number, or several have.
    """
    table = _order_table(stack)
    shops = [each for each in connected_shops(stack) if shop in {None, each.connection_id}]
    backlog = [
        FoundOrder(each, order_id, row)
        for each in shops
        for order_id, row in table.needing_attention(each.connection_id).items()
    ]
    found = [_find_order(stack, text, backlog, shops) for text in texts]
    return list({(each.shop.connection_id, each.id): each for each in found}.values())


def _find_order(stack: Stack, text: str, backlog: Collection[FoundOrder], shops: Collection[NamedShop]) -> FoundOrder:
    same_id = [each for each in backlog if each.id == text]
    matching = same_id or [each for each in backlog if _comparable(each.row.order_number) == _comparable(text)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        named = [f"{each.id} ({each.label}, {status_phrase(each.row.status)})" for each in matching[:MAX_CANDIDATES]]
        more = f" and {len(matching) - MAX_CANDIDATES} more" if len(matching) > MAX_CANDIDATES else ""
        hint = "use --shop" if same_id else "use an ID, or --shop"
        raise UnknownOrderError(f"{len(matching)} orders match {text}; {hint}: {', '.join(named)}{more}")
    for each in shops:
        if row := _order_table(stack).read(each.connection_id, [text]).get(text):
            raise UnknownOrderError(f"{FoundOrder(each, text, row).label} {_state(row)}")
    numbers = [_comparable(each.row.order_number) for each in backlog]
    near = get_close_matches(_comparable(text), dict.fromkeys(numbers), MAX_CANDIDATES)
    close = [each.label for number in near for each, its in zip(backlog, numbers, strict=True) if its == number]
    hint = (
        f"did you mean {', '.join(close[:MAX_CANDIDATES])}?"
        if close
        else f"list them with: {stack.commands.own('orders')}"
    )
    raise UnknownOrderError(f"no order {text} needs attention; {hint}")


def set_ownership(stack: Stack, order: FoundOrder, change: Change, rules: ShopRules) -> OwnedOrder:
    """Change who works on an order, if it still needs attention in the same status.

    Raises:
        OrderChangedError: It does not, or its row keeps changing.
    """
    table, connection_id = _order_table(stack), order.shop.connection_id
    for _ in range(MAX_TRIES):
        now = clock.now()
        after = change(order, now)
        row = order.row.with_ownership(after, rules.rules(connection_id), at=now)
        is_nothing_new = after is None and order.row.ownership is None
        if is_nothing_new or table.set_ownership(connection_id, order.id, row, expected=order.row):
            return _owned(order, order.row if is_nothing_new else row)
        current = table.read(connection_id, [order.id]).get(order.id)
        if current is None:
            raise OrderChangedError(f"{order.label} is no longer stored")
        if not current.needs_attention or (current.status, current.changes) != (order.row.status, order.row.changes):
            raise OrderChangedError(f"{order.label} changed meanwhile: it {_state(current)}")
        order = FoundOrder(order.shop, order.id, current)
    raise OrderChangedError(f"{order.label} keeps changing: try again")


def _owned(order: FoundOrder, row: StoredOrder) -> OwnedOrder:
    ownership, before = row.ownership or Ownership(), order.row.ownership
    return OwnedOrder(
        connection_id=order.shop.connection_id,
        shop=order.shop.name or order.shop.connection_id,
        order_id=order.id,
        order_number=row.order_number,
        status=row.status,
        owner=ownership.owner,
        taken_at=ownership.taken_at,
        snoozed_until=ownership.snoozed_until,
        note=ownership.note,
        previous_owner=before.owner if before else None,
        next_reminder_at=row.deadline_state.reminder_at,
    )


def _described(order: OwnedOrder, zone: tzinfo) -> str:
    """`#1042 at Nordic Outdoor (backordered): taken by ana; Ben had it; next reminder Thu 5 Mar 10:00 CET`."""
    now = clock.now()
    until = f"snoozed until {moment(order.snoozed_until, zone, beside=now)}" if order.snoozed_until else None
    parts = [", ".join(filter(None, [f"taken by {order.owner}" if order.owner else None, until])) or "released"]
    if order.previous_owner not in {None, order.owner}:
        parts.append(f"{order.previous_owner} had it")
    if order.next_reminder_at is None:
        parts.append("no reminder: reminders are off")
    elif not order.snoozed_until:
        parts.append(f"next reminder {moment(order.next_reminder_at, zone, beside=now)}")
    return f"{with_hash(order.order_number)} at {order.shop} ({status_phrase(order.status)}): {'; '.join(parts)}"


def _state(row: StoredOrder) -> str:
    needs = "needs attention again" if row.needs_attention else "needs no attention"
    return f"is {status_phrase(row.status)} and {needs}"


def _comparable(number: str) -> str:
    return number.strip().removeprefix("#").casefold()


def _order_table(stack: Stack) -> OrderTable:
    return OrderTable(stack.aws.dynamodb, stack.outputs.order_table_name)


def _span(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 90m, 4h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def snooze_end(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Parse the end of a snooze, in UTC.

    Args:
        text: A weekday, `today` or `tomorrow` with a time, a time (the next one), or an ISO date.
        now: The current time. A weekday is the next one on which the time is still to come.
        zone: The shop's time zone, unless the text has one.

    Raises:
        BadParameter: The text has none of these forms.
    """
    try:
        return _next_time(text, now, zone) or _in_zone(datetime.fromisoformat(text.strip()), zone)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time such as {UNTIL_EXAMPLES}") from None


def _next_time(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """The next `Mon 9:00`, `tomorrow 9:00` or `17:30`; None for a text of another form."""
    match = re.fullmatch(r"(?:([a-z]+)\s+)?(\d{1,2}):(\d\d)", text.strip().lower())
    if match is None:
        return None
    today, at = now.astimezone(zone).date(), time(int(match[2]), int(match[3]))
    days = [today + timedelta(days=ahead) for ahead in range(8)]
    chosen = {"today": days[:1], "tomorrow": days[1:2], None: days}.get(match[1])
    if chosen is None:
        weekday = WEEKDAYS.index(Weekday(match[1][:3]))
        chosen = [day for day in days if day.weekday() == weekday]
    ends = [_in_zone(datetime.combine(day, at), zone) for day in chosen]
    return next((end for end in ends if end > now), ends[-1])


def _in_zone(at: datetime, zone: tzinfo) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
