"""Publishes batches of alerts in this process."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.publishing.enrich import ProductDetails, ProductSource
from orderwatch.publishing.leases import Outbox
from orderwatch.publishing.publish import PublishMetrics, Topic, publish
from orderwatch.records import ConnectionState
from orderwatch.rendering.sns import SnsMessage
from orderwatch.trackstar.products import Product
from tests.support.alerts import SEEN_AT, first_sight
from tests.support.clocks import FakeClock
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import RecordingSns


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
    seconds_left: Callable[[], float] = lambda: math.inf,
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
        seconds_left=seconds_left,
    )


class Journal:
    """An outbox and a topic that record their calls.

    Args:
        alerts: The pending alerts.
        foreign: The alerts that are leased to another sender.

    Attributes:
        calls: What was done with which alerts.
        owners: The owners of the leases.
    """

    def __init__(self, *alerts: Alert, foreign: Collection[AlertKey] = ()) -> None:
        self.alerts, self.foreign = alerts, foreign
        self.calls: list[tuple[str, list[AlertKey] | int]] = []
        self.owners: set[str] = set()

    def unsent(self, keys: object) -> Sequence[Alert]:
        return self.alerts

    def acquire(self, keys: Collection[AlertKey], *, owner: str) -> list[AlertKey]:
        self.calls.append(("lease", list(keys)))
        self.owners.add(owner)
        return [key for key in keys if key not in self.foreign]

    def release(self, keys: Collection[AlertKey], *, owner: str) -> None:
        self.calls.append(("release", list(keys)))

    def mark_sent(self, message_ids: Mapping[AlertKey, str]) -> None:
        self.calls.append(("mark", list(message_ids)))

    def put(self, alert: Alert) -> bool:
        raise NotImplementedError

    def alerts_since(self, connection_id: str, moment: datetime) -> list[Alert]:
        raise NotImplementedError

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        self.calls.append(("send", len(messages)))
        return ["message"] * len(messages)


class Desk:
    """An outbox with alerts in it, and the topic to which they are sent.

    Args:
        dynamodb: Where the outbox is.
    """

    def __init__(self, dynamodb: MemoryDynamoDB | None = None) -> None:
        self.clock, self.sns = FakeClock(SEEN_AT), RecordingSns()
        clock.use(self.clock)
        self.tables = Tables.over(dynamodb or MemoryDynamoDB())

    def put(self, count: int = 1, *, shop: str = "conn_a", products: tuple[str, ...] = ()) -> list[AlertKey]:
        """New alerts of a connection, by their keys."""
        known = len(self.tables.rows("OrderTable"))
        writes = [first_sight(str(known + n), connection_id=shop, product_ids=products) for n in range(count)]
        self.tables.store.commit(ConnectionState(connection_id=f"{shop}{known}"), writes=writes, alerts=[])
        return [write.alert.key for write in writes if write.alert]

    def publish(
        self, keys: Collection[AlertKey], *, threshold: int = 5, products: ProductSource | None = None
    ) -> PublishMetrics:
        return send(
            keys, outbox=self.tables.alerts, topic=self.sns.topic, products=products, digest_threshold=threshold
        )

    def publish_later(self, keys: Collection[AlertKey], *, seconds: int) -> PublishMetrics:
        self.clock.advance(timedelta(seconds=seconds))
        return self.publish(keys)

    def pending(self) -> list[AlertKey]:
        return [alert.key for alert in self.tables.alerts.unsent(self.tables.alert_keys())]
