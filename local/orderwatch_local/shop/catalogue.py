"""Seeded catalogues: parents with their variants, kits, discontinued products, and the nulls that the page allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from orderwatch_local.shop.records import Record, amount, seeded

WAREHOUSES = ("wh-east", "wh-west")

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


@dataclass(frozen=True)
class Catalogue:
    """The products of one shop.

    Attributes:
        currency: ISO 4217; prices are in its own unit.
        products: Every parent and every variant, as the store holds them.
    """

    currency: str
    products: Sequence[Record]

    def for_sale(self) -> list[Record]:
        """What can be ordered: active variants, not their parents."""
        return [product for product in self.products if product["active"] and not is_parent(product)]


def is_parent(product: Record) -> bool:
    """Whether the record stands for a family of variants: it names itself as its parent."""
    return bool(product["parent_product_id"] == product["id"])


def seeded_catalogue(seed: int | str, *, currency: str, host: str, families: int = 30) -> Catalogue:
    """A catalogue that depends on its arguments alone.

    Args:
        seed: The source of chance.
        currency: ISO 4217.
        host: Of the shop's admin and its pictures; a reserved name, since nothing answers there.
        families: How many parents; each has one to four variants.
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
    # The first variant is always for sale, so that no family, and no shop, is empty.
    family[1]["active"] = True
    return family


def _product(rng: Random, product_id: str, parent_id: str, name: str, *, host: str) -> Record:
    return {
        "id": product_id,
        "name": name,
        "gtin": _or_null(rng, f"40{rng.randrange(10**10, 10**11)}", 0.3),
        "parent_product_id": parent_id,
        "active": rng.random() > 0.08,  # noqa: PLR2004 - one in twelve is discontinued
        "image_url": _or_null(rng, f"https://images.{host}/{product_id}.jpg", 0.15),
        "tags": _or_null(rng, ["seasonal"], 0.7),
        "trackstar_tags": None,
        "external_system_url": f"https://{host}/admin/products/{product_id}",
        "additional_fields": _or_null(rng, {}, 0.5),
    }


def _priced(rng: Random, price: int, currency: str) -> Record:
    on_hand = {warehouse: rng.randint(1, _MAX_ON_HAND) for warehouse in WAREHOUSES}
    return {
        "price": amount(price, currency),
        "unit_cost": _or_null(rng, amount(price * 2 // 5 // 10 * 10, currency), 0.4),
        "inventory": sum(on_hand.values()),
        "inventory_by_warehouse_id": _or_null(rng, on_hand, 0.1),
    }


def _or_null[T](rng: Random, value: T, share_of_nulls: float) -> T | None:
    return None if rng.random() < share_of_nulls else value
