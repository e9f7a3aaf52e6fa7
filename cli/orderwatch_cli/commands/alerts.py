"""`orderwatch alerts`: the alerts that were sent, those that are pending, and the message of one of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from html import unescape
from itertools import islice
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import AlertRow, AlertTable
from orderwatch.clock import duration
from orderwatch.errors import OrderwatchError
from orderwatch.publishing.enrich import without_details
from orderwatch.publishing.group import messages_of
from orderwatch.rendering import email, slack, sms
from orderwatch.rendering.formatting import plural
from orderwatch.rendering.sns import json_body, with_texts
from orderwatch_cli import output
from orderwatch_cli.arguments import (
    MOMENT_EXAMPLES,
    Endpoint,
    Json,
    Limit,
    Shop,
    StackName,
    Utc,
    calls_subcommand,
    since_moment,
    stack_at,
)
from orderwatch_cli.filters import NO_SHOP, connection_ids, known_status, require_kind, resolve_shop
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
        deliver_after: The end of the quiet hours for which it waits, or waited.
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
    deliver_after: datetime | None
    sent_at: datetime | None
    attempts: int
    message_id: str | None


class AlertState(StrEnum):
    """Whether SNS has accepted an alert's message."""

    PENDING = "pending"
    SENT = "sent"


class Channel(StrEnum):
    """A channel that people or programs read."""

    EMAIL = "email"
    SLACK = "slack"
    SMS = "sms"
    JSON = "json"


class UnknownAlertError(OrderwatchError):
    """The alert cannot be shown; the message says why."""


_TAG = re.compile(r"<([^<>]+)>")
"""A link or a date in Slack's markup."""
_BOLD = re.compile(r"(?<!\w)\*([^*\n]+)\*(?!\w)")


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


alerts = typer.Typer(rich_markup_mode=None)


@alerts.callback(invoke_without_command=True)
def list_alerts(
    context: typer.Context,
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
    """List alerts, or show one.

    The newest come first. Alerts are kept for 90 days after they were sent.
    """
    if calls_subcommand(context):
        return
    from_then = since_moment(since, utc=utc) if since else None
    selected = AlertFilter(shop=shop, kind=kind, status=status, state=state, since=from_then)
    with stack_at(stack_name, endpoint_url) as stack:
        found = [_listed(row) for row in islice(find_alerts(stack, selected), limit + 1)]
    if json:
        output.document(found[:limit])
        return
    columns = ("written", "kind", "shop", "order", "state", "alert")
    rows = [
        (each.created_at, each.kind, each.shop, each.order_number, _state(each, utc=utc), each.alert_id)
        for each in found
    ]
    footer = "There are older alerts; use --limit to show more." if len(found) > limit else ""
    output.table(columns, rows[:limit], empty="no alerts", flexible=("shop",), footer=footer, utc=utc)


@alerts.command("show")
def show(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID", help="ID of the alert.")],
    *,
    channel: Annotated[Channel, typer.Option(help="Channel of the message.")] = Channel.EMAIL,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show the message of an alert.

    Shows it as its recipients got it: as a digest, if it was sent in one. Stock and product names are missing, because
    they are looked up when an alert is sent, and not stored. With --json, prints an alert for `preview --alert`.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        row, alert = find_alert(stack, alert_id)
        alert, others = message_of(stack, row, alert)
    if json:
        output.document(with_texts(alert))
        return
    if channel is Channel.JSON:
        output.raw(json_body(alert))
        return
    written = f"written {output.moment(row.created_at, utc=utc)}, {_state(row, utc=utc)}"
    output.line(written + (f" in one message with {plural(others, 'other alert')}" if others else ""))
    output.line("")
    for line in _text(alert, channel).splitlines():
        output.line(line)


def find_alert(stack: Stack, alert_id: str) -> tuple[AlertRow, Alert]:
    """Return an alert of any shop or topic, and its row.

    Raises:
        UnknownAlertError: There is none, or another release wrote it.
    """
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    keys = (AlertKey(connection_id, alert_id) for connection_id in sorted(connection_ids(stack) | NO_SHOP))
    row = next(table.rows(keys), None)
    if row is None:
        raise UnknownAlertError(f"no alert {alert_id}; list the IDs with: {stack.commands.own('alerts')}")
    if row.alert is None:
        raise UnknownAlertError(f"alert {alert_id} was written by another release, which alone can show it")
    return row, row.alert


def message_of(stack: Stack, row: AlertRow, alert: Alert) -> tuple[Alert, int]:
    """Return the alert that was sent for an alert, and how many others it stands for.

    Several alerts have the same message if they were sent as a digest, or if two about one order were merged.
    """
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    alerts = [each.alert for each in table.sent_together(row) if each.alert] if row.message_id else [alert]
    groups = messages_of(without_details(alerts, "not stored after the alert was sent"), threshold=1)
    return next((each.alert, len(each.members) - 1) for each in groups if row.key in {a.key for a in each.members})


def find_alerts(stack: Stack, selected: AlertFilter) -> Iterator[AlertRow]:
    """Yield the selected alerts, the newest first; reads only as many pages as are consumed.

    Raises:
        UnknownFilterError: The shop, the kind or the status does not exist.
    """
    if selected.shop:
        selected = replace(selected, shop=resolve_shop(stack, selected.shop))
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
        deliver_after=row.deliver_after,
        sent_at=row.sent_at,
        attempts=row.attempts,
        message_id=row.message_id,
    )


def _text(alert: Alert, channel: Channel) -> str:
    match channel:
        case Channel.SLACK:
            return mrkdwn_text(slack.blocks(alert).blocks)
        case Channel.SMS:
            return sms.body(alert)
        case _:
            return f"{email.subject(alert)}\n\n{email.body(alert)}"


def mrkdwn_text(blocks: Iterable[Mapping[str, Any]]) -> str:
    """Format the texts of Slack's blocks as plain text; a link is its text and its address."""
    return "\n\n".join("\n".join(filter(None, _lines(block))) for block in blocks)


def _lines(block: Mapping[str, Any]) -> Iterator[str]:
    yield _plain(block)
    for field in block.get("fields", ()):
        yield _plain(field).replace("\n", ": ", 1)
    for element in block.get("elements", ()):
        yield _plain(element) + (f" ({element['url']})" if "url" in element else "")


def _plain(part: Mapping[str, Any]) -> str:
    text = part.get("text", "")
    if not isinstance(text, str):
        return _plain(text)
    return unescape(_BOLD.sub(r"\1", _TAG.sub(_shown, text))) if part.get("type") == "mrkdwn" else text


def _shown(tag: re.Match[str]) -> str:
    address, _, text = tag[1].partition("|")
    return text if text and not address.startswith("http") else f"{text} ({address})" if text else address


def _state(alert: ListedAlert | AlertRow, *, utc: bool) -> str:
    if alert.sent_at:
        return f"sent after {_span(alert.sent_at - alert.created_at)}"
    if alert.deliver_after and alert.deliver_after > clock.now():
        return f"held until {output.moment(alert.deliver_after, utc=utc)}"
    return f"pending for {_span(clock.now() - alert.created_at)}"


def _span(span: timedelta) -> str:
    return duration(span) if span >= timedelta(minutes=1) else f"{max(span, timedelta()).total_seconds():.0f} s"
