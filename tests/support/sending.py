"""Batches of alerts on their way out, in this process."""

from collections.abc import Callable, Collection

from orderwatch.publishing.enrich import ProductSource
from orderwatch.publishing.publish import Outbox, PublishSummary, Topic, publish


def send(
    alert_ids: Collection[str],
    *,
    outbox: Outbox,
    topic: Topic,
    operators: Topic | None = None,
    products_of: Callable[[str], ProductSource] | None = None,
    digest_threshold: int = 5,
) -> PublishSummary:
    """Send what is unsent of these alerts; those for the operators to the same topic unless there is another."""
    return publish(
        alert_ids,
        outbox=outbox,
        topic=topic,
        operators=operators or topic,
        products_of=products_of,
        digest_threshold=digest_threshold,
    )
