"""Seeded orders: amounts that add up, made-up people, and the nulls that the page allows."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from orderwatch_local.shop.catalogue import Catalogue
from orderwatch_local.shop.records import Record, amount, seeded, stamp

_GIVEN = ("Ada", "Björn", "Chiara", "Dmitri", "Eun-ji", "Fatima", "Gúnter", "Hana", "Ines", "José")
_FAMILY = ("Example", "Sampleson", "Muster", "Dupont-Test", "Demo", "Ejemplo", "見本")
_STREETS = ("Test Street", "Musterweg", "Rue des Exemples", "Sample Avenue", "見本通り")
_CITIES = ("Springfield", "Musterstadt", "Exempleville", "見本市")
_SHIPPING = (("standard", "Standard", "carrier-1", "Parcel Post"), ("express", "Express", "carrier-2", "Swift"))
_TAX_PERCENT = 8
_MAX_LINES = 4
_SHIPPING_COST = 500
_SHARE_OF_CUSTOM_LINES = 0.05


class OrderBook:
    """Writes the orders of one shop, one after the other.

    Args:
        seed: The source of chance.
        catalogue: What can be bought.
        country: Of the customers, ISO 3166.
        host: Of the shop's admin; a reserved name.
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
        """A new order, as the store would hold it.

        Args:
            at: When it was made; its ship-by dates follow.
            product: Something that must be its first line.
            status: Its status from the start.
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
            "bill_to_address": buyer if rng.random() < 0.8 else None,  # noqa: PLR2004 - some shops do not tell
            "line_items": [line for line, _ in lines],
            "shipping_groups": [],
            "shipments": [],
            "tags": rng.choice((None, [], ["gift"])),
            "trackstar_tags": None,
            "additional_fields": {},
            "external_system_url": f"https://{self._host}/admin/orders/{order_id}",
        }

    def _line(self, place: int, product: Record) -> tuple[Record, tuple[int, int, int]]:
        """A line, and its gross, discount and tax in the currency's smallest unit."""
        price = self._minor(product["price"])
        quantity = self._rng.choice((1, 1, 1, 2, 3))
        discount = price * quantity // 10 if self._rng.random() < 0.2 else 0  # noqa: PLR2004 - a tenth off, on a fifth
        tax = (price * quantity - discount) * _TAX_PERCENT // 100
        line = {
            "line_item_id": f"l{place}",
            # A custom line is no product; the first line always is one.
            "product_id": product["id"] if place == 1 or self._rng.random() > _SHARE_OF_CUSTOM_LINES else None,
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


def shipment(order: Record, status: str) -> Record:
    """What the warehouse says about a parcel of the order."""
    number = f"TRACK-{order['id']}"
    return {
        "status": status,
        "raw_status": None,
        "warehouse_id": "wh-east",
        "tracking_number": number,
        "tracking_url": f"https://tracking.example/{number}",
        "line_items": [{"line_item_id": line["line_item_id"]} for line in order["line_items"]],
    }


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
