"""The commands of `orderwatch shop`: one a line, each visible to the API at once."""

import difflib
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal

from orderwatch.errors import OrderwatchError
from orderwatch.rendering.formatting import money
from orderwatch.statuses import DOCUMENTED_STATUSES, normalize_status
from orderwatch_local.simulator import Record, Shop, Trackstar, invalid_credentials, missing_permission
from orderwatch_local.simulator.mirror import Resource
from orderwatch_local.simulator.scenario import LIFECYCLE
from orderwatch_local.simulator.script import SHOP_NAMES
from orderwatch_local.simulator.seeded_data import WAREHOUSES, awaited_product, shipped, units_left

STATUSES = (*LIFECYCLE, *sorted(DOCUMENTED_STATUSES - set(LIFECYCLE)))
"""Trackstar's nine statuses, in the order of an order's life."""
LISTED = 5
"""Orders of each shop that `orders` lists by default."""
_FINAL = ("fulfilled", "cancelled")
_PREFIX = "conn_"
_HELP = """\
orders [SHOP] [STATUS] [COUNT]  list orders, newest first
fail ORDER [STATUS] ["REASON"]  set a problem status
set ORDER STATUS ["REASON"]     set any status
ship ORDER [ITEMS]              ship an order or a part
stock SKU COUNT [SHOP]          set the stock of a product
storm COUNT STATUS [SHOP]       set a status for many orders
block [SHOP] [products]         lock Trackstar out
unblock [SHOP]                  let Trackstar in again
sync now                        sync every shop
{status}help                            show this help
quit                            stop the shops

ORDER is an order number, SHOP a connection (default: the
first shop). Example:
  fail 1042 exception "Address verification failed\""""
"""The text of `help`; `status` is the line of that command, where there is one."""
_STATUS = "status                          show health and last poll\n"


class CommandError(OrderwatchError):
    """A line is not a valid command; the message says what to type."""


class QuitError(Exception):
    """The user typed `quit`."""


class ShopCommands:
    """Runs commands.

    Args:
        trackstar: The simulated vendor; its first shop is the default of every command.
    """

    def __init__(self, trackstar: Trackstar) -> None:
        self._shops = {shop.connection_id: shop for shop in trackstar.shops}
        self._first = trackstar.shops[0]
        self._commands: dict[str, Callable[[Sequence[str]], str]] = {
            "orders": self._orders,
            "fail": self._fail,
            "set": self._set,
            "ship": self._ship,
            "stock": self._stock,
            "storm": self._storm,
            "block": self._block,
            "unblock": self._unblock,
            "sync": self._sync,
            "help": self._help,
            "quit": self._quit,
        }

    def add_status(self, status: Callable[[], str]) -> None:
        """Add the command `status`, which shows the text that the function returns."""
        self._commands["status"] = lambda _: status()

    @property
    def names(self) -> list[str]:
        """The names of all commands."""
        return list(self._commands)

    def run(self, line: str) -> str:
        """Run one line and return the message to show; an empty line does nothing.

        Raises:
            CommandError: The line is no valid command, or names an unknown order, status or shop.
            QuitError: The line was `quit`.
        """
        try:
            words = shlex.split(line)
        except ValueError:
            raise CommandError(f"unclosed quotation mark: {line.strip()}") from None
        if not words:
            return ""
        name, *arguments = words
        if name not in self._commands:
            raise CommandError(f"unknown command {name}{_did_you_mean(name, self.names)}; `help` lists the commands")
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
        number, items = _words(arguments, "ship ORDER [ITEMS]", least=1, most=2)
        if not items:
            return self._move(number, "fulfilled")
        shop, order = self._order(number)
        units, left = _count(items), sum(units_left(order))
        if units >= left:
            raise CommandError(f"{order['order_number']} has {left} items left; type fewer, or `ship {number}` for all")
        shop.move(order["id"], "partially_fulfilled", changes=shipped(order, units))
        shop.sync()
        what = f"{order['order_number']} at {_name(shop)}: {order['status']} -> partially_fulfilled"
        return f"{what}; {units} of {left} items left the warehouse. {_visibility(shop)}"

    def _stock(self, arguments: Sequence[str]) -> str:
        sku, number, shop_id = _words(arguments, "stock SKU COUNT [SHOP]", least=2, most=3)
        shop = self._shop(shop_id)
        units = 0 if number == "0" else _count(number)
        product = next((each for each in shop.products() if each["sku"].casefold() == sku.casefold()), None)
        if product is None:
            raise CommandError(f"{_name(shop)} has no product {sku}; the alerts show the SKUs")
        shop.restock(product["id"], {WAREHOUSES[0]: units})
        shop.sync()
        before = product["inventory"] or 0
        return f"{product['sku']} at {_name(shop)}: {before} -> {units} in stock. {_visibility(shop)}"

    def _move(self, number: str, status: str, reason: str = "") -> str:
        _require_status(status)
        shop, order = self._order(number)
        before = order["status"]
        out_of_stock = _set_status(shop, order, status, reason)
        shop.sync()
        what = f"{order['order_number']} at {_name(shop)}"
        if before == status:
            return f"{what} is already {status}, so there is no alert."
        lacks = f"; {out_of_stock} is out of stock" if out_of_stock else ""
        return f"{what}: {before} -> {status}{lacks}. {_visibility(shop)}"

    def _storm(self, arguments: Sequence[str]) -> str:
        number, status, shop_id = _words(arguments, "storm COUNT STATUS [SHOP]", least=2, most=3)
        count, shop = _count(number), self._shop(shop_id)
        _require_status(status)
        candidates = [order for order in _newest(shop) if order["status"] != status]
        candidates.sort(key=lambda order: order["status"] in _FINAL)
        if count > len(candidates):
            raise CommandError(f"{count} is too many: {_name(shop)} has {len(candidates)} orders that are not {status}")
        for order in candidates[:count]:
            _set_status(shop, order, status)
        shop.sync()
        return f"{count} orders of {_name(shop)} -> {status}. {_visibility(shop)}"

    def _block(self, arguments: Sequence[str]) -> str:
        if arguments and arguments[-1] == Resource.PRODUCTS:
            shop = self._one_shop(arguments[:-1], "block [SHOP] [products]")
            shop.errors = [missing_permission(Resource.PRODUCTS)]
            return f"{_name(shop)} refuses its products to Trackstar. Its orders stay visible."
        shop = self._one_shop(arguments, "block [SHOP] [products]")
        shop.errors = [invalid_credentials()]
        return f"{_name(shop)} locks Trackstar out. Changes are not visible until `unblock {shop.connection_id}`."

    def _unblock(self, arguments: Sequence[str]) -> str:
        shop = self._one_shop(arguments, "unblock [SHOP]")
        shop.errors = []
        shop.sync()
        return f"{_name(shop)} lets Trackstar in again. {_visibility(shop)}"

    def _sync(self, arguments: Sequence[str]) -> str:
        if list(arguments) not in ([], ["now"]):
            raise CommandError("usage: sync now")
        copied = {shop: shop.sync() for shop in self._shops.values()}
        lines = (f"{_name(shop)}: {_copied(shop, count)}" for shop, count in copied.items())
        return "\n".join(lines)

    def _help(self, _: Sequence[str]) -> str:
        return _HELP.format(status=_STATUS if "status" in self._commands else "")

    def _quit(self, _: Sequence[str]) -> str:
        raise QuitError

    def _order(self, number: str) -> tuple[Shop, Record]:
        order_number = f"#{number.removeprefix('#')}"
        for shop in self._shops.values():
            for order in shop.orders():
                if order["order_number"] == order_number:
                    return shop, order
        raise CommandError(f"no shop has an order {number}; `orders` lists some")

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


def _set_status(shop: Shop, order: Record, status: str, reason: str = "") -> str | None:
    """Move an order; a fulfilled one ships all that is left, and a backordered one lacks a product.

    Returns:
        The SKU of the product that is out of stock now.
    """
    shop.move(order["id"], status, reason or None, changes=shipped(order) if status == "fulfilled" else {})
    product_id = awaited_product(order) if normalize_status(status) == "backordered" else None
    if product_id is None:
        return None
    shop.restock(product_id, dict.fromkeys(WAREHOUSES, 0))
    return str(shop.product(product_id)["sku"])


def _words(arguments: Sequence[str], usage: str, *, least: int, most: int) -> list[str]:
    """Return the arguments, with an empty text for each that is missing."""
    if not least <= len(arguments) <= most:
        hint = (
            "; put a REASON of several words in quotation marks" if "REASON" in usage and len(arguments) > most else ""
        )
        raise CommandError(f"usage: {usage}{hint}")
    return [*arguments, *[""] * (most - len(arguments))]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise CommandError(f"{text} is not a count; type a whole number from 1")
    return int(text)


def _require_status(status: str) -> None:
    if normalize_status(status) not in STATUSES:
        guess = _did_you_mean(status, STATUSES)
        raise CommandError(f"unknown status {status}{guess}; type one of {', '.join(STATUSES)}")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _name(shop: Shop) -> str:
    return SHOP_NAMES.get(shop.connection_id, shop.connection_id)


def _newest(shop: Shop) -> list[Record]:
    return sorted(shop.orders(), key=lambda order: str(order["created_date"]), reverse=True)


def _listing(shop: Shop, status: str | None, count: int) -> list[str]:
    """List the orders in a status, by default those that are not fulfilled or cancelled."""
    listed = [o for o in _newest(shop) if (o["status"] == status if status else o["status"] not in _FINAL)]
    return [f"{o['order_number']:<7}{o['status']:<20}{_name(shop):<17}{_price(o)}" for o in listed[:count]]


def _price(order: Record) -> str:
    return money(Decimal(str(order["total_price"])), order["invoice_currency_code"])


def _visibility(shop: Shop) -> str:
    if shop.is_blocked(Resource.ORDERS):
        return f"Trackstar does not show it until `unblock {shop.connection_id}`."
    return "Trackstar shows it now."


def _copied(shop: Shop, count: int) -> str:
    return "blocked, nothing synced" if shop.is_blocked(Resource.ORDERS) else f"{count:,} changed records synced"
