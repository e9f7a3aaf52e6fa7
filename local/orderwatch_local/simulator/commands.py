"""What can be done to the simulated shops by hand: one command a line, each visible at Trackstar's side at once."""

import difflib
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal

from orderwatch.errors import OrderwatchError
from orderwatch.polling.connection_alerts import DOCUMENTED
from orderwatch.rendering.formatting import money
from orderwatch_local.simulator import Record, Shop, Trackstar, invalid_credentials
from orderwatch_local.simulator.scenario import LIFECYCLE
from orderwatch_local.simulator.script import SHOP_NAMES
from orderwatch_local.simulator.seeded_data import shipment

STATUSES = (*LIFECYCLE, *sorted(DOCUMENTED - set(LIFECYCLE)))
"""Trackstar's nine, in the order of an order's life."""
LISTED = 5
"""Orders of each shop that `orders` shows unless told otherwise."""
_FINAL = ("fulfilled", "cancelled")
_PREFIX = "conn_"
HELP = """\
orders [SHOP] [STATUS] [COUNT]  some orders, newest first
fail ORDER [STATUS] ["REASON"]  an order gets into trouble
set ORDER STATUS ["REASON"]     an order takes any status
ship ORDER                      an order is fulfilled
storm COUNT STATUS [SHOP]       many orders, all at once
block [SHOP]                    Trackstar is locked out
unblock [SHOP]                  Trackstar is let in again
sync now                        Trackstar reads every shop
help                            this
quit                            stop the shops

An ORDER is its number, a SHOP its connection; without one
the first shop is meant. For example:
  fail 1042 exception "Address verification failed\""""


class CommandError(OrderwatchError):
    """A line that is no command for these shops: says what is wrong and what to type."""


class QuitError(Exception):
    """The user wants to leave."""


class ShopCommands:
    """Carries out commands.

    Args:
        trackstar: The simulated vendor; its first shop is meant where a command names none.
    """

    def __init__(self, trackstar: Trackstar) -> None:
        self._shops = {shop.connection_id: shop for shop in trackstar.shops}
        self._first = trackstar.shops[0]
        self._commands: dict[str, Callable[[Sequence[str]], str]] = {
            "orders": self._orders,
            "fail": self._fail,
            "set": self._set,
            "ship": self._ship,
            "storm": self._storm,
            "block": self._block,
            "unblock": self._unblock,
            "sync": self._sync,
            "help": self._help,
            "quit": self._quit,
        }

    @property
    def names(self) -> list[str]:
        """The first word of every command."""
        return list(self._commands)

    def run(self, line: str) -> str:
        """Carry out one line and say what came of it; an empty line does nothing.

        Raises:
            CommandError: The line is no command, or names something that is not there.
            QuitError: The line was `quit`.
        """
        try:
            words = shlex.split(line)
        except ValueError:
            raise CommandError(f"a quotation mark is not closed: {line.strip()}") from None
        if not words:
            return ""
        name, *arguments = words
        if name not in self._commands:
            raise CommandError(f"no command {name}{_did_you_mean(name, self.names)}; help lists them")
        return self._commands[name](arguments)

    def _orders(self, arguments: Sequence[str]) -> str:
        shops, status, count = list(self._shops.values()), None, LISTED
        for argument in arguments:
            if argument in STATUSES:
                status = argument
            elif argument.isdecimal():
                count = _count(argument)
            else:
                shops = [self._shop(argument, "a shop, a status or a count")]
        lines = [line for shop in shops for line in _listing(shop, status, count)]
        return "\n".join(lines) or f"no order is {status}" + (f" at {_name(shops[0])}" if len(shops) == 1 else "")

    def _fail(self, arguments: Sequence[str]) -> str:
        number, status, reason = _words(arguments, "fail ORDER [STATUS] [REASON]", least=1, most=3)
        return self._move(number, status or "exception", reason)

    def _set(self, arguments: Sequence[str]) -> str:
        number, status, reason = _words(arguments, "set ORDER STATUS [REASON]", least=2, most=3)
        return self._move(number, status, reason)

    def _ship(self, arguments: Sequence[str]) -> str:
        (number,) = _words(arguments, "ship ORDER", least=1, most=1)
        return self._move(number, "fulfilled")

    def _move(self, number: str, status: str, reason: str = "") -> str:
        _require_status(status)
        shop, order = self._order(number)
        before = order["status"]
        changes = {"shipments": [shipment(order, "shipped")]} if status == "fulfilled" else {}
        shop.move(order["id"], status, reason or None, changes=changes)
        shop.sync()
        what = f"{order['order_number']} at {_name(shop)}"
        if before == status:
            return f"{what} was {status} already: no alert comes of that."
        return f"{what}: {before} -> {status}. {_seen(shop)}"

    def _storm(self, arguments: Sequence[str]) -> str:
        number, status, shop_id = _words(arguments, "storm COUNT STATUS [SHOP]", least=2, most=3)
        count, shop = _count(number), self._shop(shop_id)
        _require_status(status)
        able = [order for order in _newest(shop) if order["status"] != status]
        able.sort(key=lambda order: order["status"] in _FINAL)
        if count > len(able):
            raise CommandError(f"{count} are too many: {_name(shop)} has {len(able)} orders that are not {status}")
        for order in able[:count]:
            shop.move(order["id"], status)
        shop.sync()
        return f"{count} orders of {_name(shop)} -> {status}. {_seen(shop)}"

    def _block(self, arguments: Sequence[str]) -> str:
        shop = self._one_shop(arguments, "block [SHOP]")
        shop.errors = [invalid_credentials()]
        return f"{_name(shop)} refuses Trackstar: what changes now is not seen before `unblock {shop.connection_id}`."

    def _unblock(self, arguments: Sequence[str]) -> str:
        shop = self._one_shop(arguments, "unblock [SHOP]")
        shop.errors = []
        shop.sync()
        return f"{_name(shop)} lets Trackstar in again. {_seen(shop)}"

    def _sync(self, arguments: Sequence[str]) -> str:
        if list(arguments) not in ([], ["now"]):
            raise CommandError("type: sync now")
        copied = {shop: shop.sync() for shop in self._shops.values()}
        lines = (f"{_name(shop)}: {_copied(shop, count)}" for shop, count in copied.items())
        return "\n".join(lines)

    def _help(self, _: Sequence[str]) -> str:
        return HELP

    def _quit(self, _: Sequence[str]) -> str:
        raise QuitError

    def _order(self, number: str) -> tuple[Shop, Record]:
        connections_to_poll = f"#{number.removeprefix('#')}"
        for shop in self._shops.values():
            for order in shop.orders():
                if order["order_number"] == connections_to_poll:
                    return shop, order
        raise CommandError(f"no shop has an order {number}: `orders` shows some")

    def _one_shop(self, arguments: Sequence[str], usage: str) -> Shop:
        (shop_id,) = _words(arguments, usage, least=0, most=1)
        return self._shop(shop_id)

    def _shop(self, shop_id: str, kind: str = "a shop") -> Shop:
        if not shop_id:
            return self._first
        found = self._shops.get(shop_id) or self._shops.get(f"{_PREFIX}{shop_id}")
        if found is None:
            raise CommandError(f"{shop_id} is not {kind}; the shops are {', '.join(self._shops)}")
        return found


def _words(arguments: Sequence[str], usage: str, *, least: int, most: int) -> list[str]:
    """The arguments, with an empty one for each that was left out."""
    if not least <= len(arguments) <= most:
        hint = ", a REASON of several words in quotation marks" if "REASON" in usage and len(arguments) > most else ""
        raise CommandError(f"type: {usage}{hint}")
    return [*arguments, *[""] * (most - len(arguments))]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise CommandError(f"{text} is no count: a whole number from 1 on")
    return int(text)


def _require_status(status: str) -> None:
    if status not in STATUSES:
        guess = _did_you_mean(status, STATUSES)
        raise CommandError(f"no status {status}{guess}; Trackstar's nine are {', '.join(STATUSES)}")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _name(shop: Shop) -> str:
    return SHOP_NAMES.get(shop.connection_id, shop.connection_id)


def _newest(shop: Shop) -> list[Record]:
    return sorted(shop.orders(), key=lambda order: str(order["created_date"]), reverse=True)


def _listing(shop: Shop, status: str | None, count: int) -> list[str]:
    """Those in a status, or those that are still on their way."""
    connections_to_poll = [o for o in _newest(shop) if (o["status"] == status if status else o["status"] not in _FINAL)]
    return [f"{o['order_number']:<7}{o['status']:<20}{_name(shop):<17}{_price(o)}" for o in connections_to_poll[:count]]


def _price(order: Record) -> str:
    return money(Decimal(str(order["total_price"])), order["invoice_currency_code"])


def _seen(shop: Shop) -> str:
    if shop.errors:
        return f"Trackstar does not see it before `unblock {shop.connection_id}`."
    return "Trackstar shows it now."


def _copied(shop: Shop, count: int) -> str:
    return "blocked, nothing is read" if shop.errors else f"{count:,} changed records read"
