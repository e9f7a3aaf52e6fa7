"""Seeded products and orders: amounts that add up, invented people, and the nulls that the vendor allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from orderwatch_local.simulator.records import Record, amount, seeded, stamp

WAREHOUSES = ("wh-east", "wh-west")
_WAREHOUSE_NAMES = ("Bethlehem (PA)", "Reno (NV)")

_MAKES = ("Alpine", "Café", "Köln", "Sora", "Ñandú", "Prairie", "Åse", "Atlas", "Lumière", "Harbour", "抹茶", "Tundra")
_THINGS = (
    "canvas tote", "rain jacket", "wool socks", "teapot", "trail lamp", "notebook", "linen shirt", "camp mug",
    "cutting board", "headphones", "yoga mat", "desk clock", "scarf", "water bottle", "风筝 kite", "bread knife",
)  # fmt: skip
_VARIANTS = ("small", "medium", "large", "black", "olive", "Größe 42", "2-pack", "écru")
_KIT_EVERY = 9
_MAX_VARIANTS = 4
_MIN_PRICE, _MAX_PRICE = 590, 18_900
_MAX_ON_HAND = 60

_GIVEN = ("Ada", "Björn", "Chiara", "Dmitri", "Eun-ji", "Fatima", "Gúnter", "Hana", "Ines", "José")
_FAMILY = ("Example", "Sampleson", "Muster", "Dupont-Test", "Demo", "Ejemplo", "見本")
_STREETS = ("Test Street", "Musterweg", "Rue des Exemples", "Sample Avenue", "見本通り")
_CITIES = ("Springfield", "Musterstadt", "Exempleville", "見本市")
_SHIPPING = (("standard", "Standard", "carrier-1", "Parcel Post"), ("express", "Express", "carrier-2", "Swift"))
_TAX_PERCENT = 8
_MAX_LINES = 4
_SHIPPING_COST = 500
_CUSTOM_LINE_SHARE = 0.05


@dataclass(frozen=True)
class Catalogue:
    """The products of one shop.

    Attributes:
        currency: ISO 4217; prices are in its unit.
        products: Every parent and every variant, as the store holds them.
    """

    currency: str
    products: Sequence[Record]

    def for_sale(self) -> list[Record]:
        """Return what can be ordered: active variants, without their parents."""
        return [product for product in self.products if product["active"] and not is_parent(product)]


def seeded_warehouses() -> list[Record]:
    """Return the warehouses that have the stock of every seeded product."""
    return [
        {"id": each, "name": name, "code": each.removeprefix("wh-").upper(), "address": {"city": name}}
        for each, name in zip(WAREHOUSES, _WAREHOUSE_NAMES, strict=True)
    ]


def is_parent(product: Record) -> bool:
    """Whether the product is the parent of variants: it names itself as its parent."""
    return bool(product["parent_product_id"] == product["id"])


def seeded_catalogue(seed: int | str, *, currency: str, host: str, families: int = 30) -> Catalogue:
    """Return a catalogue that depends only on its arguments.

    Args:
        seed: The seed of the random choices.
        currency: ISO 4217.
        host: The host of the shop's admin pages and pictures; a reserved name, which does not resolve.
        families: Number of parents; each has one to four variants.
    """
    rng = seeded("catalogue", seed, host)
    products: list[Record] = []
    for number in range(1, families + 1):
        products.extend(_family(rng, number, currency=currency, host=host))
    return Catalogue(currency, tuple(products))


def _family(rng: Random, number: int, *, currency: str, host: str) -> list[Record]:
    name = f"{rng.choice(_MAKES)} {rng.choice(_THINGS)}"
    parent_id = f"p{number:04d}"
    is_kit = number % _KIT_EVERY == 0
    price = rng.randrange(_MIN_PRICE, _MAX_PRICE, 10)
    variants = rng.sample(_VARIANTS, 1 if is_kit else rng.randint(1, _MAX_VARIANTS))
    parent = {**_product(rng, parent_id, parent_id, name, host=host), "is_kit": is_kit, "sku": f"F{number:04d}"}
    family = [parent | {"price": None, "inventory": None, "inventory_by_warehouse_id": None, "active": True}]
    for place, variant in enumerate(variants, start=1):
        record = _product(rng, f"{parent_id}-{place}", parent_id, f"{name}, {variant}", host=host)
        family.append(record | _priced(rng, price, currency) | {"is_kit": is_kit, "sku": f"S{number:04d}-{place}"})
    # The first variant is always for sale, so that no family and no shop is empty.
    family[1]["active"] = True
    return family


def _product(rng: Random, product_id: str, parent_id: str, name: str, *, host: str) -> Record:
    return {
        "id": product_id,
        "name": name,
        "gtin": _maybe_null(rng, f"40{rng.randrange(10**10, 10**11)}", 0.3),
        "parent_product_id": parent_id,
        "active": rng.random() > 0.08,  # noqa: PLR2004 - one in twelve is discontinued
        "image_url": _maybe_null(rng, f"https://images.{host}/{product_id}.jpg", 0.15),
        "tags": _maybe_null(rng, ["seasonal"], 0.7),
        "trackstar_tags": None,
        "external_system_url": f"https://{host}/admin/products/{product_id}",
        "additional_fields": _maybe_null(rng, {}, 0.5),
    }


def _priced(rng: Random, price: int, currency: str) -> Record:
    on_hand = {warehouse: rng.randint(1, _MAX_ON_HAND) for warehouse in WAREHOUSES}
    return {
        "price": amount(price, currency),
        "unit_cost": _maybe_null(rng, amount(price * 2 // 5 // 10 * 10, currency), 0.4),
        "inventory": sum(on_hand.values()),
        "inventory_by_warehouse_id": _maybe_null(rng, on_hand, 0.1),
    }


def _maybe_null[T](rng: Random, value: T, null_share: float) -> T | None:
    return None if rng.random() < null_share else value


class OrderBook:
    """Makes the orders of one shop, in the order of their numbers.

    Args:
        seed: The seed of the random choices.
        catalogue: The products for sale.
        country: The customers' country, ISO 3166.
        host: The host of the shop's admin pages; a reserved name.
        first_number: The first order's number.
    """

    def __init__(
        self, seed: int | str, *, catalogue: Catalogue, country: str, host: str, first_number: int = 1001
    ) -> None:
        self._rng = seeded("orders", seed, host)
        self._products = catalogue.for_sale()
        self._currency = catalogue.currency
        self._country = country
        self._host = host
        self._number = first_number - 1

    def write(self, at: datetime, *, product: Record | None = None, status: str = "open") -> Record:
        """Return a new order, as the store holds it.

        Args:
            at: When it was placed; its ship-by depends on it.
            product: The product of the first line; None: a random one.
            status: Its first status.
        """
        self._number += 1
        rng = self._rng
        chosen = rng.sample(self._products, rng.randint(1, _MAX_LINES))
        if product is not None:
            chosen = [product, *(other for other in chosen[1:] if other["id"] != product["id"])]
        lines = [self._line(place, each) for place, each in enumerate(chosen, start=1)]
        buyer = self._address()
        order_id = f"o{self._number:06d}"
        return {
            "id": order_id,
            "order_number": f"#{self._number}",
            "status": status,
            "raw_status": None,
            "created_date": stamp(at),
            **_shipping(rng, at),
            "invoice_currency_code": self._currency,
            **self._totals(lines),
            "ship_to_address": buyer,
            "bill_to_address": buyer if rng.random() < 0.8 else None,  # noqa: PLR2004 - some shops send none
            "line_items": [line for line, _ in lines],
            "shipping_groups": [],
            "shipments": [],
            "tags": rng.choice((None, [], ["gift"])),
            "trackstar_tags": None,
            "additional_fields": {},
            "external_system_url": f"https://{self._host}/admin/orders/{order_id}",
        }

    def _line(self, place: int, product: Record) -> tuple[Record, tuple[int, int, int]]:
        """Return a line, with its gross, discount and tax in the currency's smallest unit."""
        price = self._minor(product["price"])
        quantity = self._rng.choice((1, 1, 1, 2, 3))
        discount = price * quantity // 10 if self._rng.random() < 0.2 else 0  # noqa: PLR2004 - a tenth off, on a fifth
        tax = (price * quantity - discount) * _TAX_PERCENT // 100
        line = {
            "line_item_id": f"l{place}",
            # A custom line has no product; the first line always has one.
            "product_id": product["id"] if place == 1 or self._rng.random() > _CUSTOM_LINE_SHARE else None,
            "product_sku": self._rng.choice((product["sku"],) * 8 + ("", None)),
            "parent_product_id": product["parent_product_id"],
            "parent_product_sku": None,
            "quantity": quantity,
            "unit_price": product["price"],
            "discount": amount(discount, self._currency),
            "tax": amount(tax, self._currency),
        }
        return line, (price * quantity, discount, tax)

    def _totals(self, lines: list[tuple[Record, tuple[int, int, int]]]) -> Record:
        gross, discount, tax = (sum(amounts[i] for _, amounts in lines) for i in range(3))
        shipping = self._rng.choice((0, _SHIPPING_COST))
        totals = {
            "total_price": gross - discount + tax + shipping,
            "total_tax": tax,
            "total_discount": discount,
            "total_shipping": shipping,
        }
        return {name: amount(minor, self._currency) for name, minor in totals.items()}

    def _minor(self, price: float) -> int:
        return round(price / amount(1, self._currency))

    def _address(self) -> Record:
        rng = self._rng
        given = rng.choice(_GIVEN)
        return {
            "full_name": f"{given} {rng.choice(_FAMILY)}",
            "company": None,
            "address1": f"{rng.randint(1, 200)} {rng.choice(_STREETS)}",
            "address2": rng.choice((None, "", "2nd floor")),
            "address3": None,
            "city": rng.choice(_CITIES),
            "state": None,
            "postal_code": f"{rng.randrange(10_000, 99_999)}",
            "country": self._country,
            "phone_number": f"+1 202 555 01{rng.randrange(100):02d}",
            "email_address": f"buyer{rng.randrange(10_000)}@mail.example",
        }


def shipped(order: Record, units: int | None = None) -> Record:
    """Return the fields of an order that change when a parcel leaves: its shipments and its shipping groups.

    The parcel leaves from the first warehouse; the second one has what is still to ship.

    Args:
        order: The order, with the parcels that left before.
        units: The number of units in the parcel, taken from the lines in their order; None: all that are left.
    """
    left = units_left(order)
    taken, wanted = [], sum(left) if units is None else units
    for line in left:
        taken.append(min(line, wanted))
        wanted -= taken[-1]
    rest = [before - now for before, now in zip(left, taken, strict=True)]
    parcels, groups = list(order["shipments"]), []
    if any(taken):
        parcels.append(_shipment(order, taken, f"{order['id']}-{len(parcels) + 1}"))
    if any(rest):
        group = {"status": "open", "raw_status": None, "warehouse_id": WAREHOUSES[1]}
        groups.append({"shipping_group_id": f"group-{order['id']}", **group, "line_items": _parts(order, rest)})
    return {"shipments": parcels, "shipping_groups": groups}


def units_left(order: Record) -> list[int]:
    """Return the units of each line of the order that are in none of its shipments."""
    left = [line["quantity"] for line in order["line_items"]]
    for sent in (line for parcel in order["shipments"] for line in parcel["line_items"]):
        units = sent["quantity"]
        for place, line in enumerate(order["line_items"]):
            taken = min(left[place], units) if _product_of(line) == _product_of(sent) else 0
            left[place] -= taken
            units -= taken
    return left


def awaited_product(order: Record) -> str | None:
    """Return the product of the first line that is still to ship; None if nothing is, or if it has no product."""
    lines = zip(order["line_items"], units_left(order), strict=True)
    return next((line["product_id"] for line, left in lines if left), None)


def _shipment(order: Record, units: Sequence[int], shipment_id: str) -> Record:
    number = f"TRACK-{shipment_id}"
    return {
        "shipment_id": shipment_id,
        "status": "shipped",
        "raw_status": None,
        "warehouse_id": WAREHOUSES[0],
        "carrier": order["carrier_name"],
        "shipping_method": order["shipping_method_name"],
        "tracking_number": number,
        "tracking_url": f"https://tracking.example/{number}",
        "line_items": _parts(order, units),
    }


def _parts(order: Record, units: Sequence[int]) -> list[Record]:
    """The lines of a shipment or of a shipping group: these units of each order line."""
    fields = ("product_id", "product_sku", "parent_product_id")
    lines = [(line, count) for line, count in zip(order["line_items"], units, strict=True) if count]
    return [{field: line[field] for field in fields} | {"quantity": count} for line, count in lines]


def _product_of(line: Record) -> tuple[str | None, str | None]:
    return line["product_id"], line["product_sku"]


def _shipping(rng: Random, at: datetime) -> Record:
    method_id, method, carrier_id, carrier = rng.choice(_SHIPPING)
    ships_by = stamp(at + timedelta(days=rng.randint(2, 5)))
    return {
        "requested_shipping_method": rng.choice((None, method)),
        "shipping_method_id": method_id,
        "shipping_method_name": method,
        "carrier_id": carrier_id,
        "carrier_name": rng.choice((carrier, carrier, None)),
        "earliest_ship_date": None,
        "latest_ship_date": rng.choice((ships_by, ships_by, ships_by, None)),
    }
