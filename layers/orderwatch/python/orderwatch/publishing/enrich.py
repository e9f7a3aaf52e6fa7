"""Product details in an alert: names, pictures, links, and how many of what was ordered are on hand.

Every gap is named in `enrichment.missing`, in a user's words (rule 11). Nothing here asks the vendor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orderwatch.alerts.alert import Alert, Enrichment
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.errors import NotSupportedError, TrackstarError, UnavailableError
from orderwatch.trackstar.products import Product

MAX_GAPS = 20
MAX_WAREHOUSES = 50

LEFT_OUT = "product details: left out because this alert was late"


class ProductSource(Protocol):
    """Where the products of every connection come from."""

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """Return the products that exist, by id.

        Args:
            connection_id: The connection that they belong to.
            product_ids: Which; asked for in as few requests as possible.
            seconds_left: How long the caller can still wait; no wait goes on beyond it.

        Raises:
            TrackstarError: The vendor did not answer as documented.
        """
        ...


@dataclass
class _Gaps:
    """The gaps of one alert, in the order in which they were found."""

    found: list[str] = field(default_factory=list)

    def add(self, gap: str) -> None:
        if gap not in self.found:
            self.found.append(gap)

    def enrichment(self) -> Enrichment:
        listed, more = self.found[:MAX_GAPS], len(self.found) - MAX_GAPS
        missing = [*listed, f"+{more} more gaps"] if more > 0 else listed
        return Enrichment(complete=not self.found, missing=tuple(missing))


def enrich(alerts: Sequence[Alert], products: Mapping[str, Product]) -> list[Alert]:
    """Return the alerts with the details of these products; alerts that are about no order stay as they are."""
    return [_with_details(alert, products) for alert in alerts]


def product_ids_of(alerts: Sequence[Alert]) -> list[str]:
    """Return the products that the lines of these alerts name, each once, in order of appearance."""
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    return list(dict.fromkeys(line.product_id for line in lines if line.product_id))


def without_details(alerts: Sequence[Alert], gap: str) -> list[Alert]:
    """Return the alerts unchanged but for the gap, which those with order lines name as missing."""
    enrichment = Enrichment(complete=False, missing=(gap,))
    return [
        alert.model_copy(update={"enrichment": enrichment}) if alert.order and alert.order.line_items else alert
        for alert in alerts
    ]


def gap_of(error: Exception) -> str:
    """Say in a user's words why there are no product details."""
    if isinstance(error, NotSupportedError):
        return "product details: this shop's integration offers none"
    if isinstance(error, UnavailableError):
        return "product details: Trackstar did not answer"
    if isinstance(error, TrackstarError):
        return "product details: Trackstar refused to give them"
    return "product details: they could not be read"


def _with_details(alert: Alert, products: Mapping[str, Product]) -> Alert:
    if alert.order is None:
        return alert
    gaps = _Gaps()
    lines = tuple(
        _detailed(line, position, products, gaps) for position, line in enumerate(alert.order.line_items, start=1)
    )
    order = alert.order.model_copy(update={"line_items": lines})
    return alert.model_copy(update={"order": order, "enrichment": gaps.enrichment()})


def _detailed(line: AlertLineItem, position: int, products: Mapping[str, Product], gaps: _Gaps) -> AlertLineItem:
    if line.product_id is None:
        gaps.add(f"product details of {line.sku or f'line {position}'}: the line names no product")
        return line
    product = products.get(line.product_id)
    if product is None:
        gaps.add(f"product details of {line.sku or line.product_id}: not in Trackstar's copy")
        return line
    return _merged(line, product, gaps)


def _merged(line: AlertLineItem, product: Product, gaps: _Gaps) -> AlertLineItem:
    by_warehouse = product.on_hand_by_warehouse
    code = line.sku or product.sku or product.id
    if product.is_parent:
        gaps.add(f"stock of {code}: known of its variants only, and the line names their parent")
    elif product.inventory is None:
        gaps.add(f"stock of {code}: the shop does not tell")
    elif len(by_warehouse) > MAX_WAREHOUSES:
        gaps.add(f"stock of {code} by warehouse: {len(by_warehouse)} warehouses are too many to list")
    stocked = not product.is_parent
    listed = stocked and len(by_warehouse) <= MAX_WAREHOUSES
    return AlertLineItem(
        sku=line.sku or product.sku,
        name=product.name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        on_hand=product.inventory if stocked else None,
        on_hand_by_warehouse=by_warehouse if listed else {},
        image_url=product.image_url,
        url=product.external_system_url,
        product_id=line.product_id,
        is_kit=product.is_kit,
        active=product.active,
    )
