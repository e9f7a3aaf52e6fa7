"""Stock is back (rule 23): look at the stock of the backordered orders when Trackstar has synced the products.

A look costs one query and the requests for the products. Only orders that the stock covers and that were not alerted
in this backorder are read again by their id, and alerted if they still need the same. A look never fails a poll: if
Trackstar does not respond, or no time is left, the next poll looks again. It also does if an order is gone, which then
takes no units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched

from orderwatch.allocation import Need, allocate, needs_of, product_ids
from orderwatch.errors import TrackstarError, UnavailableError
from orderwatch.observability import logger
from orderwatch.polling.commit import Store
from orderwatch.polling.rereader import Rereader
from orderwatch.polling.restock_alert import Restock
from orderwatch.reading.cursor import Vendor
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState
from orderwatch.trackstar.orders import MAX_IDS
from orderwatch.trackstar.products import Product

MAX_PRODUCTS = 10_000
"""Maximum products that a look asks for, those of the first orders first: 100 requests, half a minute."""


def alert_restocked(rereader: Rereader, state: ConnectionState) -> None:
    """Alert the backordered orders that the stock covers, if the products were synced since the last look.

    Args:
        rereader: Reads the orders again.
        state: The stored state of the connection.

    Raises:
        PollSupersededError: Another poll of the connection is running.
    """
    vendor, store, has_time = rereader.vendor, rereader.store, rereader.has_time
    if not rereader.policy.watches_stock:
        _save_end(store, state, None)  # turned on again, it begins with a baseline
        return
    products_end = rereader.probe.products_end
    if products_end is None or products_end == state.syncs.products_end or not has_time():
        return
    needs = needs_of(store.needing_attention(state.connection_id))
    products = _products(vendor, product_ids(needs, limit=MAX_PRODUCTS), has_time)
    if products is None:
        return
    restock, is_done = _restock(needs, products, min(products_end, vendor.now()), state), True
    for order_ids in batched(restock.extracts, MAX_IDS, strict=False):
        if not has_time():
            return
        try:
            state, gone = rereader.read_again(state, order_ids, WindowKind.RESTOCKED, restock=restock)
        except TrackstarError as error:
            logger.warning("restocked orders could not be read; the next poll looks again", exc_info=error)
            return
        is_done = is_done and not gone
    if is_done:
        _save_end(store, state, products_end)


def _products(vendor: Vendor, ids: Sequence[str], has_time: Callable[[], bool]) -> Mapping[str, Product] | None:
    """The products that exist, by id; None if the next poll must look again.

    What Trackstar refuses (an integration without products, for example) stays unknown until the next sync.
    """
    found: dict[str, Product] = {}
    for batch in batched(ids, MAX_IDS, strict=False):
        if not has_time():
            logger.info("no time is left to look at the stock; the next poll does")
            return None
        try:
            found |= vendor.products(batch)
        except UnavailableError as error:
            logger.warning("products could not be read; the next poll looks again", exc_info=error)
            return None
        except TrackstarError as error:
            logger.warning("Trackstar refused the products; their stock is unknown", exc_info=error)
            return found
    return found


def _restock(
    needs: Sequence[Need], products: Mapping[str, Product], synced_until: datetime, state: ConnectionState
) -> Restock:
    """The orders that the stock covers and that were not alerted in this backorder."""
    covered = set(allocate(needs, products))
    is_baseline = state.syncs.products_end is None
    new = [each for each in needs if each.order_id in covered and each.row.restocked_at is None]
    if not is_baseline:
        new = [each for each in new if each.row.version.at <= synced_until]
    extra = {"backordered": len(needs), "covered": len(covered), "not_alerted": len(new), "is_baseline": is_baseline}
    logger.info("looked at the stock of backordered orders", extra=extra)
    on_hand = {each.id: each.inventory for each in products.values() if each.inventory is not None}
    return Restock(synced_until, {each.order_id: each.extract for each in new}, on_hand, is_baseline=is_baseline)


def _save_end(store: Store, state: ConnectionState, products_end: datetime | None) -> None:
    if products_end != state.syncs.products_end:
        syncs = replace(state.syncs, products_end=products_end)
        store.commit(replace(state, syncs=syncs), writes=[], alerts=[])
