"""What the last poll of each shop recorded, read from ConnectionTable."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.records import ConnectionState
from orderwatch_cli.stack import Stack


@dataclass(frozen=True)
class PolledShop:
    """The result of a shop's last poll; the defaults are those of a shop that was never polled.

    Attributes:
        integration: Trackstar's name of the integration.
        health: The state that the last poll found.
        health_detail: The problem and what to do about it.
        last_poll_at: Our clock when a poll last read a window to its end.
        data_as_of: End of the last Trackstar sync that a poll saw.
        is_baseline_done: Whether the first poll has read the shop's history.
        is_reading: Whether a poll has saved its position and will continue there.
        is_stuck: Whether no attempt reached the end of its list of orders (rule 7).
        other_statuses: Statuses of its orders that Trackstar does not document.
    """

    integration: str | None = None
    health: str | None = None
    health_detail: str = ""
    last_poll_at: datetime | None = None
    data_as_of: datetime | None = None
    is_baseline_done: bool = False
    is_reading: bool = False
    is_stuck: bool = False
    other_statuses: tuple[str, ...] = ()


def polled_connection_ids(stack: Stack) -> list[str]:
    """Return the ID of every shop that was ever polled, even of those that are no longer connected."""
    return _table(stack).connection_ids()


def polled_shops(stack: Stack, connection_ids: Iterable[str]) -> dict[str, PolledShop]:
    """Return those of these shops that were polled and whose rows can be parsed, by connection ID."""
    rows = _table(stack).load_all(connection_ids)
    return {connection_id: _polled_shop(row) for connection_id, row in rows.items()}


def _table(stack: Stack) -> ConnectionTable:
    return ConnectionTable(stack.aws.dynamodb, stack.outputs.connection_table_name)


def _polled_shop(row: ConnectionState) -> PolledShop:
    return PolledShop(
        integration=row.integration,
        health=row.health.state if row.health else None,
        health_detail=row.health.detail if row.health else "",
        last_poll_at=row.cursor.last_success_at,
        data_as_of=row.syncs.last_end,
        is_baseline_done=row.cursor.baseline_completed_at is not None,
        is_reading=row.cursor.progress is not None,
        is_stuck=row.cursor.progress is not None and row.cursor.progress.is_exhausted,
        other_statuses=row.other_statuses,
    )
