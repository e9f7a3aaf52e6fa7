"""`orderwatch poll`: invokes dispatch_polls, as its schedule does, and can wait for the results."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.errors import OrderwatchError
from orderwatch.polling.metrics import Outcome
from orderwatch.records import HealthState
from orderwatch.rendering.formatting import plural
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, stack_at
from orderwatch_cli.filters import find_shop
from orderwatch_cli.parameters import connected_shops
from orderwatch_cli.poll_results import PollResult, parse_result
from orderwatch_cli.shop_status import polled_shops
from orderwatch_cli.stack import STACK_NAME, Function, Stack

MAX_WAIT = timedelta(minutes=10)
"""Longest time to wait for results: twice the timeout of poll_orders."""
CHECK_EVERY = 2.0
"""Seconds between two reads of the log."""
NO_RESULT = "no result"
"""The outcome of a poll whose result was not logged in time."""


class NotConnectedError(OrderwatchError):
    """A shop cannot be polled because it is not connected; the message says how to connect it."""


class ResultsHiddenError(OrderwatchError):
    """The stack does not tell the results of polls; the message says why."""


class FinishedPoll(BaseModel):
    """What came of a poll.

    Attributes:
        connection_id: The polled connection.
        outcome: `finished`, `already read` (by a later poll), `initial sync`, `unauthorized`, `not connected`,
            `failed` or `no result`.
        orders: Orders that were read.
        changed: Orders that are new or changed their status.
        alerts: Alerts that were written.
        reason: Why the poll did not succeed.
        health: The health of the connection after the poll; None before its first poll.
        detail: The problem, if it is not healthy.
    """

    connection_id: str
    outcome: str
    orders: int = 0
    changed: int = 0
    alerts: int = 0
    reason: str | None = None
    health: str | None = None
    detail: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the shop was read, and its changes are visible."""
        return self.reason is None and self.health in {None, HealthState.HEALTHY}

    def text(self) -> str:
        """Format the result in one line."""
        found = self.reason or (
            "read by a later poll"
            if self.outcome == Outcome.ALREADY_READ
            else f"{plural(self.orders, 'order')} read, {self.changed:,} changed, {plural(self.alerts, 'alert')}"
        )
        is_hidden = self.reason is None and not self.is_success
        return f"{self.connection_id}: {found}" + (f"; {self.health}: {self.detail}" if is_hidden else "")


class QueuedPolls(BaseModel):
    """The connections whose polls were queued, and the IDs of these polls; the results, if they were waited for."""

    connection_ids: list[str]
    poll_ids: dict[str, str] = {}
    results: list[FinishedPoll] | None = None


def poll(
    shops: Annotated[
        list[str] | None, typer.Argument(metavar="SHOP", help="Connection IDs or names of shops (default: all).")
    ] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results, at most ten minutes.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin an unfinished reading of these shops again, from its first page.")
    ] = False,
    json: Json = False,
) -> None:
    """Poll shops now.

    A scheduled run polls only the shops that may have changed. With --wait, the exit code is 1 if a shop cannot be
    read.
    """
    if restart and not shops:
        raise typer.BadParameter("name the shops whose reading begins again: orderwatch poll SHOP --restart")
    with stack_at(stack_name, endpoint_url) as stack:
        if wait:
            _require_results(stack)
        begun_at = clock.now()
        queued = poll_now(stack, shops or [], restart=restart)
        results = _shown_results(stack, queued, since=begun_at, json=json) if wait else None
    if json:
        output.document(QueuedPolls(connection_ids=queued.connection_ids, poll_ids=queued.poll_ids, results=results))
    elif not wait:
        output.line(f"polling {', '.join(queued.connection_ids)}")
    if results and not all(each.is_success for each in results):
        raise typer.Exit(1)


def _shown_results(stack: Stack, queued: QueuedPolls, *, since: datetime, json: bool) -> list[FinishedPoll]:
    waiting = f"waiting for {plural(len(queued.connection_ids), 'poll')}, at most {MAX_WAIT.seconds // 60} minutes"
    typer.echo(f"{waiting}: {output.printable(', '.join(queued.connection_ids))}", err=True)
    results = []
    for result in results_of(stack, queued, since=since):
        results.append(result)
        if not json:
            output.line(result.text())
    return results


def poll_now(stack: Stack, shops: Sequence[str], *, restart: bool = False) -> QueuedPolls:
    """Queue a poll of these shops, or of all if the list is empty.

    Args:
        stack: The stack.
        shops: Their connection IDs or names.
        restart: Whether an unfinished reading begins again.

    Raises:
        NotConnectedError: A shop has no access token, or none has.
        UnknownFilterError: Several shops have a name.
        InvocationError: dispatch_polls failed.
    """
    connected = {shop.connection_id for shop in connected_shops(stack)}
    found = {each: find_shop(stack, each, among=connected) for each in shops}
    if unknown := [each for each in shops if found[each] is None]:
        connect = stack.commands.own(f"connect {shlex.quote(unknown[0])}")
        raise NotConnectedError(f"not connected: {', '.join(unknown)}; connect a shop with: {connect}")
    if not connected:
        connect = stack.commands.own("connect CONNECTION_ID")
        raise NotConnectedError(f"no shop is connected; connect one with: {connect}")
    selected = list(dict.fromkeys(filter(None, found.values()))) or sorted(connected)
    payload = {"connection_ids": selected} | ({"restart": True} if restart else {})
    return QueuedPolls.model_validate(stack.invoke(Function.DISPATCH_POLLS, payload))


def _require_results(stack: Stack) -> None:
    if stack.parameters.log_level != "INFO":
        raise ResultsHiddenError(
            f"--wait reads the log of poll_orders, and LogLevel={stack.parameters.log_level} hides its results: "
            f"poll without it, then run: {stack.commands.own('shops')}"
        )


def results_of(stack: Stack, queued: QueuedPolls, *, since: datetime) -> Iterator[FinishedPoll]:
    """Yield what came of each poll, as soon as it is logged; those without a result in `MAX_WAIT` last.

    An unfinished poll is followed to the poll that ends its reading. A poll that failed is not: SQS retries it.

    Args:
        stack: The stack.
        queued: The polls.
        since: When they were requested.
    """
    if missing := [each for each in queued.connection_ids if each not in queued.poll_ids]:
        raise ResultsHiddenError(f"dispatch_polls names no poll of {', '.join(missing)}: deploy this release first")
    waiting, deadline = dict(queued.poll_ids), clock.monotonic() + MAX_WAIT.total_seconds()
    while waiting and clock.monotonic() < deadline:
        logged = _logged_results(stack, since)
        ended = {key: found for key, poll_id in waiting.items() if (found := reading_of(logged, key, poll_id))}
        shops = polled_shops(stack, ended)
        for connection_id, result in ended.items():
            del waiting[connection_id]
            if shop := shops.get(connection_id):
                result.health, result.detail = shop.health, shop.health_detail
            yield result
        if waiting:
            clock.sleep(CHECK_EVERY)
    for connection_id in waiting:
        log = stack.commands.own(f"logs {Function.POLL_ORDERS} --shop {shlex.quote(connection_id)}")
        reason = f"no result within {MAX_WAIT.seconds // 60} minutes; read the log: {log}"
        yield FinishedPoll(connection_id=connection_id, outcome=NO_RESULT, reason=reason)


def _logged_results(stack: Stack, since: datetime) -> list[PollResult]:
    """All results since a moment, the oldest first. CloudWatch may show a line later than a newer one."""
    group = stack.resources[Function.POLL_ORDERS.log_group].id
    pages = stack.aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=int(since.timestamp() * 1000)
    )
    events = sorted((each for page in pages for each in page["events"]), key=lambda each: each["timestamp"])
    found = (parse_result(each["message"], at=datetime.fromtimestamp(each["timestamp"] / 1000, UTC)) for each in events)
    return [result for result in found if result]


def reading_of(logged: Sequence[PollResult], connection_id: str, poll_id: str) -> FinishedPoll | None:
    """Return the result of the reading that a poll begins: of all its polls, if the first ones did not finish it.

    Args:
        logged: The results in the log, the oldest first.
        connection_id: The connection.
        poll_id: The first poll.
    """
    results = [each for each in logged if each.connection_id == connection_id]
    first = next((index for index, each in enumerate(results) if each.poll_id == poll_id), len(results))
    results = results[first:]
    last = next((index for index, each in enumerate(results) if each.outcome != Outcome.UNFINISHED), None)
    if last is None:
        return None
    polls = results[: last + 1]
    return FinishedPoll(
        connection_id=connection_id,
        outcome=polls[-1].outcome,
        orders=sum(each.orders for each in polls),
        changed=sum(each.moved for each in polls),
        alerts=sum(each.alerts for each in polls),
        reason=polls[-1].reason,
    )
