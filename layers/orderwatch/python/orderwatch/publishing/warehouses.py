"""The names of warehouses in alerts: the shop's setting, else Trackstar's name, else the id alone.

A name never delays an alert beyond the time budget of details, and its absence is not reported.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from orderwatch import clock
from orderwatch.alerts.alert import Alert, by_connection
from orderwatch.alerts.parts import MAX_TEXT, AlertOrder
from orderwatch.errors import TrackstarError
from orderwatch.observability import logger
from orderwatch.publishing.time_budget import MIN_SECONDS, SECONDS_PER_CONNECTION, TimeBudget

CACHED_FOR = timedelta(hours=12)
"""Trackstar syncs warehouses every twelve hours."""
UNAVAILABLE_FOR = timedelta(days=1)
"""How long a connection is not asked again after a refusal: its integration has no list of warehouses."""
FAILED_FOR = timedelta(minutes=5)
"""How long a connection is not asked again after another failure."""
SECONDS = 3.0
"""For the names of one connection."""
MAX_NAMES = 50
"""Maximum names in an order. With the limits of an id and a name, they leave most of a message to the lines."""


class WarehouseSource(Protocol):
    """The names of the warehouses of every connection."""

    def warehouse_settings(self, connection_id: str) -> Mapping[str, str]:
        """Return the names that the shop's settings have, by id."""
        ...

    def warehouses(self, connection_id: str, *, seconds_left: Callable[[], float]) -> Mapping[str, str]:
        """Return Trackstar's names, by id.

        Args:
            connection_id: The connection.
            seconds_left: Seconds that the caller can still wait.

        Raises:
            TrackstarError: There are none (`is_permanent`), or they cannot be read now.
        """
        ...


class WarehouseNames:
    """Names the warehouses of alerts, and caches Trackstar's names.

    Args:
        source: The names.
        budget: The time budget of details. Names take only what the products of one more connection do not need.
    """

    def __init__(self, source: WarehouseSource, budget: TimeBudget) -> None:
        self._source = source
        self._budget = budget
        self._cache: dict[str, tuple[datetime, Mapping[str, str]]] = {}

    def named_batches(self, batches: Iterable[Sequence[Alert]]) -> Iterator[list[Alert]]:
        """Name the warehouses of the alerts: first those that need no request, then one connection after the other.

        All alerts of a connection have to be in one batch, and stay in one. Raises nothing of its own.
        """
        waiting: dict[str, tuple[list[Alert], Mapping[str, str]]] = {}
        for batch in batches:
            ready: list[Alert] = []
            for connection_id, alerts in by_connection(batch).items():
                ids = _ids_of(alerts)
                settings = self._settings(connection_id) if ids else {}
                cached = self._cached(connection_id)
                if cached is None and ids - settings.keys() and self._seconds() >= MIN_SECONDS:
                    waiting[connection_id] = alerts, settings
                else:
                    ready += _named(alerts, {**(cached or {}), **settings})
            yield ready
        for connection_id, (alerts, settings) in waiting.items():
            self._request(connection_id)
            yield _named(alerts, {**(self._cached(connection_id) or {}), **settings})

    def _settings(self, connection_id: str) -> Mapping[str, str]:
        if self._budget.left() <= 0:
            return {}
        try:
            with self._budget.spend(SECONDS):
                return self._source.warehouse_settings(connection_id)
        except Exception as error:  # noqa: BLE001 - a name stops no alert
            _log_failure(connection_id, error)
            return {}

    def _cached(self, connection_id: str) -> Mapping[str, str] | None:
        until, names = self._cache.get(connection_id, (None, {}))
        return names if until and clock.now() < until else None

    def _request(self, connection_id: str) -> None:
        """Ask Trackstar for the names, if there is time left; remember the result."""
        seconds = self._seconds()
        if seconds < MIN_SECONDS:
            return
        try:
            with self._budget.spend(seconds) as seconds_left:
                names = self._source.warehouses(connection_id, seconds_left=seconds_left)
            self._cache[connection_id] = (clock.now() + CACHED_FOR, names)
        except Exception as error:  # noqa: BLE001 - a name stops no alert
            _log_failure(connection_id, error)
            self._cache[connection_id] = (clock.now() + (UNAVAILABLE_FOR if _is_permanent(error) else FAILED_FOR), {})

    def _seconds(self) -> float:
        return min(SECONDS, self._budget.left() - SECONDS_PER_CONNECTION)


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, TrackstarError) and error.is_permanent


def _log_failure(connection_id: str, error: Exception) -> None:
    extra = {"connection_id": connection_id, "error": str(error)}
    if _is_permanent(error):
        logger.info("Trackstar has no list of this shop's warehouses; alerts show their ids", extra=extra)
    else:
        logger.warning("names of warehouses missing; alert shows ids", exc_info=error, extra=extra)


def _ids_of(alerts: Iterable[Alert]) -> set[str]:
    return {each for alert in alerts if alert.order for each in _warehouse_ids(alert.order)}


def _warehouse_ids(order: AlertOrder) -> list[str]:
    """The warehouses of an order, each once: first those of its shipments and lines, then those that have stock."""
    of_shipments = [each.warehouse for each in order.shipments or ()]
    of_lines = [line.warehouse for line in order.line_items]
    of_stock = [each for line in order.line_items for each in line.on_hand_by_warehouse]
    ids = dict.fromkeys([*of_shipments, *of_lines, *of_stock])
    return [each for each in ids if each and len(each) <= MAX_TEXT]


def _named(alerts: Iterable[Alert], names: Mapping[str, str]) -> list[Alert]:
    return [_with_names(alert, alert.order, names) if alert.order else alert for alert in alerts]


def _with_names(alert: Alert, order: AlertOrder, names: Mapping[str, str]) -> Alert:
    known = [each for each in _warehouse_ids(order) if each in names][:MAX_NAMES]
    return alert.replace(order=order.replace(warehouses={each: names[each] for each in known}))
