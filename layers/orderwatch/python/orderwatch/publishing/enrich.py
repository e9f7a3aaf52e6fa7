"""Product details in an alert: names, pictures, links and what is on hand of what was ordered.

They can only degrade an alert, never stop it (rule 11): every gap is named in `enrichment.missing`, in a user's words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orderwatch.alerts import Alert, AlertLineItem, Enrichment
from orderwatch.errors import NotImplementedByShopError, TrackstarError, UnavailableError
from orderwatch.trackstar.products import Product

MAX_GAPS = 20
MAX_WAREHOUSES = 50

LEFT_OUT = "product details: left out because this alert was late"


class ProductSource(Protocol):
    """Where the products of one connection come from."""

    def products(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        """The products that are there, by id; asks for as few pages as it takes.

        Raises:
            TrackstarError: The vendor did not answer as documented.
        """
        ...


@dataclass(frozen=True, slots=True)
class EnrichmentResult:
    """The alerts with what could be added.

    Attributes:
        alerts: As many as were given, in their order.
        error: What went wrong at the source, for the log and the metric; None where nothing did.
    """

    alerts: list[Alert]
    error: Exception | None = None


@dataclass
class _Gaps:
    """The gaps of one alert, in the order in which they are found."""

    found: list[str] = field(default_factory=list)

    def add(self, gap: str) -> None:
        if gap not in self.found:
            self.found.append(gap)

    def enrichment(self) -> Enrichment:
        listed, more = self.found[:MAX_GAPS], len(self.found) - MAX_GAPS
        missing = [*listed, f"+{more} more gaps"] if more > 0 else listed
        return Enrichment(complete=not self.found, missing=tuple(missing))


def enrich(alerts: Sequence[Alert], source: ProductSource | None) -> EnrichmentResult:
    """Add the product details to alerts of one connection, with one call for all of them. Never raises.

    Args:
        alerts: Of one connection; those that are about no order stay as they are.
        source: Its products; None leaves the details out, for alerts that are late already.
    """
    if source is None:
        return EnrichmentResult([_without_details(alert, LEFT_OUT) for alert in alerts])
    try:
        products = _look_up(alerts, source)
        return EnrichmentResult([_with_details(alert, products) for alert in alerts])
    except Exception as error:  # noqa: BLE001 - even a bug at the source only degrades the alert (rule 11)
        return EnrichmentResult([_without_details(alert, _reason(error)) for alert in alerts], error)


def _look_up(alerts: Sequence[Alert], source: ProductSource) -> Mapping[str, Product]:
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    ids = dict.fromkeys(line.product_id for line in lines if line.product_id)
    return source.products(list(ids)) if ids else {}


def _reason(error: Exception) -> str:
    if isinstance(error, NotImplementedByShopError):
        return "product details: this shop's integration offers none"
    if isinstance(error, UnavailableError):
        return "product details: Trackstar did not answer"
    if isinstance(error, TrackstarError):
        return "product details: Trackstar refused to give them"
    return "product details: they could not be read"


def _without_details(alert: Alert, gap: str) -> Alert:
    if alert.order is None or not alert.order.line_items:
        return alert
    return alert.model_copy(update={"enrichment": Enrichment(complete=False, missing=(gap,))})


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
