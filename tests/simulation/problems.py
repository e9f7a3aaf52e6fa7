"""Problems of a shop that last a while: each has a step that begins it and one that ends it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from orderwatch_local.simulator import Paging, Shop, endpoint_error, invalid_credentials

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun


def _block(run: "SimulatedRun", shop: Shop) -> None:
    now = run.vendor_clock.now()
    error = endpoint_error("get_orders", preventing_sync=True, first_seen=now, last_seen=now)
    shop.errors = [run.chance.choice((error, invalid_credentials()))]
    run.note(f"{shop.connection_id} is blocked")


def _unblock(run: "SimulatedRun", shop: Shop) -> None:
    shop.errors = []


def _refuse(run: "SimulatedRun", shop: Shop) -> None:
    shop.access_token = "rotated"
    run.note(f"{shop.connection_id} refuses its token")


def _accept(run: "SimulatedRun", shop: Shop) -> None:
    shop.access_token = f"token-of-{shop.connection_id}"


def _disable(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.disabled = True


def _enable(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.disabled = False


def _disconnect(run: "SimulatedRun", shop: Shop) -> None:
    if shop in run.trackstar.shops:
        run.trackstar.disconnect(shop.connection_id)
    run.note(f"{shop.connection_id} is disconnected")


def _connect(run: "SimulatedRun", shop: Shop) -> None:
    run.trackstar.connect(shop)


def _refuse_filter(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.refused_filters = {"trackstar_updated_date"}
    run.oracle.refusing.add(shop.connection_id)
    run.note(f"{shop.connection_id} refuses the filter")


def _lead_nowhere(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.paging = run.chance.choice((Paging.STUCK, Paging.LOOP))
    run.note(f"the page tokens of {shop.connection_id} lead {shop.quirks.paging}")


def _lead_on(run: "SimulatedRun", shop: Shop) -> None:
    shop.quirks.paging = Paging.FORWARD


def _keep(run: "SimulatedRun", shop: Shop) -> None:
    """The problem stays."""


def _go_dark(run: "SimulatedRun", shop: Shop) -> None:
    run.stuck.add(shop.connection_id)
    run.note(f"{shop.connection_id} goes dark")


def _come_back(run: "SimulatedRun", shop: Shop) -> None:
    run.stuck.discard(shop.connection_id)


type Step = Callable[["SimulatedRun", Shop], None]
PROBLEMS: dict[str, tuple[Step, Step]] = {
    "blocked": (_block, _unblock),
    "token refused": (_refuse, _accept),
    "disabled": (_disable, _enable),
    "disconnected": (_disconnect, _connect),
    "filter refused": (_refuse_filter, _keep),
    "dark": (_go_dark, _come_back),
    "page tokens repeat": (_lead_nowhere, _lead_on),
}
