"""Publishes batches of alerts in this process."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orderwatch.alerts.alert import AlertKey
from orderwatch.publishing.enrich import ProductDetails, ProductSource
from orderwatch.publishing.leases import Outbox
from orderwatch.publishing.publish import PublishMetrics, Topic, publish
from orderwatch.trackstar.products import Product


class ConnectionProducts(Protocol):
    """The products of one connection, such as those of a `ConnectionClient`."""

    def products(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        """Return those that exist, by id."""
        ...


@dataclass(frozen=True)
class ProductsOf:
    """A `ProductSource` that asks a client of the connection.

    Attributes:
        connect: Makes the client, by the connection's id.
    """

    connect: Callable[[str], ConnectionProducts]

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        return self.connect(connection_id).products(product_ids)


def send(
    keys: Collection[AlertKey],
    *,
    outbox: Outbox,
    topic: Topic,
    operators: Topic | None = None,
    products: ProductSource | ProductDetails | None = None,
    digest_threshold: int = 5,
) -> PublishMetrics:
    """Publish the pending ones of these alerts; operator alerts go to the same topic unless another is given.

    A bare source of products is one that this process asks for the first time.
    """
    return publish(
        keys,
        outbox=outbox,
        topic=topic,
        operators=operators or topic,
        details=products if products is None or isinstance(products, ProductDetails) else ProductDetails(products),
        digest_threshold=digest_threshold,
    )
