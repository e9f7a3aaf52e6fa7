"""`orderwatch alerts`: the alerts that were sent, and those that are pending."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.aws.alert_table import AlertRow, AlertTable
from orderwatch.clock import duration
from orderwatch_cli import output
from orderwatch_cli.arguments import (
    MOMENT_EXAMPLES,
    Endpoint,
    Json,
    Limit,
    Shop,
    StackName,
    Utc,
    since_moment,
    stack_at,
)
from orderwatch_cli.filters import NO_SHOP, connection_ids, known_status, require_kind, require_shop
from orderwatch_cli.stack import STACK_NAME, Stack


class ListedAlert(BaseModel):
    """An alert as its row has it.

    Attributes:
        alert_id: Its ID.
        kind: Such as `order.exception`.
        connection_id: The shop's connection.
        shop: Name of the shop in the alert.
        order_number: Number of the order, if the alert is about one.
        status: Status of the order.
        previous_status: Status of the order before.
        detail: Text of an alert about a connection or a deadline.
        state: `pending` or `sent`.
        created_at: Our clock when it was written.
        sent_at: Our clock when SNS accepted its message.
        attempts: Number of attempts to send it.
        message_id: SNS's ID of the message.
    """

    alert_id: str
    kind: str
    connection_id: str
    shop: str
    order_number: str | None
    status: str | None
    previous_status: str | None
    detail: str | None
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    message_id: str | None


class AlertState(StrEnum):
    """Whether SNS has accepted an alert's message."""

    PENDING = "pending"
    SENT = "sent"


@dataclass(frozen=True)
class AlertFilter:
    """Selects alerts; None selects all.

    Attributes:
        shop: The connection.
        kind: The kind.
        status: The new status of the order.
        state: Pending or sent.
        since: When the alert was written, at the earliest.
    """

    shop: str | None = None
    kind: str | None = None
    status: str | None = None
    state: AlertState | None = None
    since: datetime | None = None

    def matches(self, row: AlertRow) -> bool:
        """Whether the row is selected; the query has already applied `since`."""
        pairs = (
            *((self.shop, row.key.connection_id), (self.kind, row.kind)),
            *((self.status, row.status), (self.state, row.state)),
        )
        return all(wanted in {None, found} for wanted, found in pairs)


def alerts(
    *,
    shop: Shop = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Kind of the alerts, such as order.exception.")
    ] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="New status of the order.")] = None,
    state: Annotated[AlertState | None, typer.Option(help="Delivery state of the alerts.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=f"Start of the list: {MOMENT_EXAMPLES}.")] = None,
    limit: Limit = 100,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List alerts, the newest first.

    Alerts are kept for 90 days after they were sent.
    """
    from_then = since_moment(since, utc=utc) if since else None
    selected = AlertFilter(shop=shop, kind=kind, status=status, state=state, since=from_then)
    with stack_at(stack_name, endpoint_url) as stack:
        found = [_listed(row) for row in islice(find_alerts(stack, selected), limit + 1)]
    if json:
        output.document(found[:limit])
        return
    columns = ("written", "kind", "shop", "order", "state", "alert")
    rows = [(each.created_at, each.kind, each.shop, each.order_number, _state(each), each.alert_id) for each in found]
    output.table(columns, rows[:limit], empty="no alerts", flexible=("shop",), utc=utc)
    if len(found) > limit:
        output.line("There are older alerts; use --limit to show more.")


def find_alerts(stack: Stack, selected: AlertFilter) -> Iterator[AlertRow]:
    """Yield the selected alerts, the newest first; reads only as many pages as are consumed.

    Raises:
        UnknownFilterError: The shop, the kind or the status does not exist.
    """
    if selected.shop:
        require_shop(stack, selected.shop)
    if selected.kind:
        require_kind(stack, selected.kind)
    if selected.status:
        selected = replace(selected, status=known_status(stack, selected.status))
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    if selected.state is AlertState.PENDING:
        rows = table.recent_pending(since=selected.since)
    else:
        connections = {selected.shop} if selected.shop else connection_ids(stack) | NO_SHOP
        rows = table.recent(sorted(connections), since=selected.since)
    return filter(selected.matches, rows)


def _listed(row: AlertRow) -> ListedAlert:
    alert = row.alert
    order = alert.order if alert else None
    return ListedAlert(
        alert_id=row.key.alert_id,
        kind=row.kind,
        connection_id=row.key.connection_id,
        shop=alert.connection.label if alert else row.key.connection_id,
        order_number=order.number if order else row.order_id,
        status=row.status,
        previous_status=row.previous_status,
        detail=alert.detail if alert else None,
        state=row.state,
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        message_id=row.message_id,
    )


def _state(alert: ListedAlert) -> str:
    if alert.sent_at:
        return f"sent after {_span(alert.sent_at - alert.created_at)}"
    return f"pending for {_span(clock.now() - alert.created_at)}"


def _span(span: timedelta) -> str:
    return duration(span) if span >= timedelta(minutes=1) else f"{max(span, timedelta()).total_seconds():.0f} s"
