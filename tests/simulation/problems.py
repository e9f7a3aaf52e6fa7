"""Problems of a shop that last a while: each has a step that begins it and one that ends it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from orderwatch_local.simulator import Paging, Shop, endpoint_error, invalid_credentials, missing_permission

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

type Step = Callable[["SimulatedRun", Shop], object]


class Problem(NamedTuple):
    """How a problem begins, how it ends, and what the trace says of its begin."""

    begin: Step
    end: Step
    note: str


def _block(run: "SimulatedRun", shop: Shop) -> None:
    now = run.vendor_clock.now()
    error = endpoint_error("get_orders", preventing_sync=True, first_seen=now, last_seen=now)
    shop.errors = [run.chance.choice((error, invalid_credentials()))]


def lose_products(run: "SimulatedRun", shop: Shop) -> None:
    """Trackstar can no longer sync the products of a shop, whose orders are visible as before."""
    now, endpoint = run.vendor_clock.now(), run.habits.choice(("get_products", "/cart/products", "getProducts"))
    error = endpoint_error(endpoint, preventing_sync=True, first_seen=now, last_seen=now)
    shop.errors = [*shop.errors, run.habits.choice((error, missing_permission("products")))]
    run.note(f"{shop.connection_id} loses its products")


def _disconnect(run: "SimulatedRun", shop: Shop) -> None:
    if shop in run.trackstar.shops:
        run.trackstar.disconnect(shop.connection_id)


def _refuse_filter(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.refused_filters = {"trackstar_updated_date"}
    run.oracle.refusing.add(shop.connection_id)


def _repeat_tokens(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.paging = run.chance.choice((Paging.STUCK, Paging.LOOP))
    run.note(f"the page tokens of {shop.connection_id} lead {shop.quirks.paging}")


PROBLEMS = {
    "blocked": Problem(_block, lambda run, shop: setattr(shop, "errors", []), "is blocked"),
    "token refused": Problem(
        lambda run, shop: setattr(shop, "access_token", "rotated"),
        lambda run, shop: setattr(shop, "access_token", f"token-of-{shop.connection_id}"),
        "refuses its token",
    ),
    "disabled": Problem(
        lambda run, shop: setattr(shop.quirks, "disabled", True),
        lambda run, shop: setattr(shop.quirks, "disabled", False),
        "is disabled",
    ),
    "disconnected": Problem(_disconnect, lambda run, shop: run.trackstar.connect(shop), "is disconnected"),
    "filter refused": Problem(_refuse_filter, lambda run, shop: "it stays", "refuses the filter"),
    "dark": Problem(
        lambda run, shop: run.stuck.add(shop.connection_id),
        lambda run, shop: run.stuck.discard(shop.connection_id),
        "goes dark",
    ),
    "page tokens repeat": Problem(
        _repeat_tokens, lambda run, shop: setattr(shop.quirks, "paging", Paging.FORWARD), "repeats page tokens"
    ),
}
