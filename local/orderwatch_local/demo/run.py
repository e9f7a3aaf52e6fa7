"""The demo: plays a scripted day of three simulated shops to the real template, deployed on the local cloud.

It succeeds only if the delivered alerts are exactly those that the visible changes ask for.
"""

import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from orderwatch.aws.order_table import OrderTable
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.ownership import taken
from orderwatch.records import ConnectionState
from orderwatch_cli.output import printable_text
from orderwatch_local.box import show_box
from orderwatch_local.cloud.inbox import JsonInbox, Mail, Mailbox
from orderwatch_local.cloud.watch import Watch, WatchedShop, watching
from orderwatch_local.demo.expected import (
    AlertKey,
    OrderKey,
    delivered_alerts,
    delivered_figures,
    expected_connection_alerts,
    expected_order_alerts,
    expected_status_alerts,
    expected_summary,
)
from orderwatch_local.simulator import Script, Shop, VisibleChange, day_of_three_shops, serve
from orderwatch_local.simulator.script import API_KEY, SHOP_NAMES

ZONES = {"conn_lumiere": "Europe/Paris", "conn_sora": "Asia/Tokyo"}
"""The time zones in the shops' settings."""
REMINDER_HOURS = {"conn_lumiere": 12}
"""In the settings of a shop: the hours after which it is reminded about an order."""
TAKEN_AFTER = 6
"""The hour of the day after which somebody takes an order of that shop."""
OWNER = "Ana"
READ_SECONDS = 60.0
"""Time limit of one round of polls; it is long, so that only a fault reaches it."""
DELIVERY_SECONDS = 60.0
"""Time limit of the last alerts of the day."""
CHECK_EVERY = 0.05
"""Seconds between two checks of the cursors."""


@dataclass
class Received:
    """What a subscriber received, and when. The inboxes' threads write it, the main thread reads it."""

    delivered: Counter[AlertKey] = field(default_factory=Counter)
    delivered_at: dict[AlertKey, list[float]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    summary: dict[str, Any] | None = None
    mails: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add_alert(self, body: str) -> None:
        """Count a delivered alert."""
        alert = json.loads(body)
        with self.changed:
            self.kinds[alert["kind"]] += 1
            self.summary = alert.get("summary") or self.summary
            for key in delivered_alerts(alert):
                self.delivered[key] += 1
                self.delivered_at.setdefault(key, []).append(time.monotonic())
            self.changed.notify_all()

    def add_mail(self) -> None:
        """Count an e-mail."""
        with self.changed:
            self.mails += 1
            self.changed.notify_all()

    def wait_for_alerts(self, expected: Counter[AlertKey], *, baselines: int, by_mail: bool = False) -> None:
        """Wait up to a minute for the alerts, for this number of started watches, and for their e-mails."""

        def has_all() -> bool:
            has_mails = not by_mail or self.mails >= self.kinds.total()
            return self.delivered >= expected and self.kinds["watch.started"] >= baselines and has_mails

        with self.changed:
            self.changed.wait_for(has_all, timeout=DELIVERY_SECONDS)

    def wait_for_summary(self) -> None:
        """Wait up to a minute for the summary and its e-mail."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.summary is not None and self.mails >= self.kinds.total(), timeout=DELIVERY_SECONDS
            )


def run_demo(console: Console, *, seed: int = 1, pause: float = 0.0) -> bool:
    """Play the day and show every alert.

    Args:
        console: The terminal.
        seed: The seed of the day.
        pause: Seconds to pause after each hour, so that a person can read along.

    Returns:
        Whether the delivered alerts and summary are exactly the expected ones.

    Raises:
        LocalCloudError: The local cloud did not start, build or deploy.
    """
    started = time.monotonic()
    script = day_of_three_shops(seed)
    trackstar = script.begin()
    shops = [
        WatchedShop(shop.connection_id, SecretStr(shop.access_token), SHOP_NAMES[shop.connection_id], _settings(shop))
        for shop in trackstar.shops
    ]
    received = Received()
    step = partial(timed, console)
    with (
        serve(trackstar) as server,
        watching(shops, api_key=SecretStr(API_KEY), parameters={"TrackstarBaseUrl": server.url}, step=step) as watch,
        Mailbox(watch.cloud, watch.outputs.alert_topic_arn, mail_printer(console, received)),
        JsonInbox(
            watch.cloud.client("sqs"), watch.cloud.subscribe_queue(watch.outputs.alert_topic_arn), received.add_alert
        ),
    ):
        expected = _play(console, script, watch, received, pause=pause)
    polls = sum(1 for request in trackstar.requests if request.path.startswith("/connections/"))
    seconds = time.monotonic() - started
    has_all = report(console, "A day of three shops", script, received, expected=expected, polls=polls, seconds=seconds)
    return compare_summary(console, script, received) and has_all


def _settings(shop: Shop) -> str | None:
    hours, zone = REMINDER_HOURS.get(shop.connection_id), ZONES.get(shop.connection_id)
    settings = ({"time_zone": zone} if zone else {}) | ({"reminder_hours": hours} if hours else {})
    return json.dumps(settings) if settings else None


@contextmanager
def timed(console: Console, what: str) -> Iterator[None]:
    """Show that a step is running, and then how long it took."""
    started = time.monotonic()
    with console.status(f"{what} ..."):
        yield
    console.print(f"{what}: {time.monotonic() - started:.1f} s", style="dim", highlight=False)


def mail_printer(console: Console, received: Received) -> Callable[[Mail], None]:
    """Return a function that shows an e-mail and counts it."""

    def show(mail: Mail) -> None:
        show_box(console, mail.subject, printable_text(mail.text.rstrip()))
        received.add_mail()

    return show


def _play(console: Console, script: Script, watch: Watch, received: Received, *, pause: float) -> Counter[AlertKey]:
    """Play the day, and return the alerts that it must produce."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        task = progress.add_task("first poll: the baseline", total=len(script.hours) + 1)
        _poll(console, watch, script)
        beside.submit(watch.summarize, send=False)  # starts the function, so that the summary of the day comes at once
        for hour in script.hours:
            progress.update(task, advance=1, description=f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes")
            script.apply(hour)
            script.sync()
            _poll(console, watch, script)
            if hour.number == TAKEN_AFTER:
                taken_at = _take_order(console, watch, script.clock.now())
            time.sleep(pause)
        progress.update(task, advance=1, description="the last alerts")
        expected = all_expected_alerts(script, reminder_hours=REMINDER_HOURS, taken_at=taken_at)
        received.wait_for_alerts(expected, baselines=len(watch.shops), by_mail=True)
        progress.update(task, description="the summary of the day")
        watch.summarize(send=True, at=script.clock.now())
        received.wait_for_summary()
    return expected


def _take_order(console: Console, watch: Watch, at: datetime) -> dict[OrderKey, datetime]:
    """Take the oldest order that needs attention in the shop with reminders, as `orderwatch take` does."""
    [connection_id] = REMINDER_HOURS
    table = OrderTable(watch.cloud.client("dynamodb"), watch.outputs.order_table_name)
    order_id, row = next(iter(table.needing_attention(connection_id).items()))
    rules = DeadlineRules(ZoneInfo(ZONES[connection_id]), reminder_hours=REMINDER_HOURS[connection_id])
    owned = row.with_ownership(taken(row.ownership, OWNER, at=at), rules, at=at)
    if not table.set_ownership(connection_id, order_id, owned, expected=row):
        raise TimeoutError(f"order {order_id} changed between two polls")
    shop, number = SHOP_NAMES[connection_id], row.order_number.removeprefix("#")
    console.print(f"$ orderwatch take {number} --by {OWNER}", style="bold", highlight=False)
    console.print(f"#{number} at {shop}: taken by {OWNER}; the others are reminded about", highlight=False)
    return {(connection_id, order_id): at}


def has_read(state: ConnectionState, script: Script, *, until: datetime) -> bool:
    """Whether polls have read all orders up to this moment, and have looked at the stock of the last sync."""
    position, looked_at = state.cursor.position, state.syncs.products_end
    synced_at = script.synced_at(state.connection_id).replace(microsecond=0)  # as Trackstar dates it
    return position is not None and position >= until and looked_at is not None and looked_at >= synced_at


def _poll(console: Console, watch: Watch, script: Script) -> None:
    """Poll every shop and wait until everything is read that the shops show now.

    Raises:
        TimeoutError: A poll failed; the end of its log is in the message.
        BrokenPipeError: Nobody reads the output any more. Rich, in the mailbox's thread, makes the console quiet then.
    """
    watch.poll_now()
    deadline = time.monotonic() + READ_SECONDS
    while not all(has_read(state, script, until=script.clock.now()) for state in watch.states()):
        if console.quiet:
            raise BrokenPipeError
        if time.monotonic() > deadline:
            log = watch.cloud.logs(watch.outputs.poll_orders_function_name, lines=10)
            raise TimeoutError(f"a poll did not end within {READ_SECONDS:.0f} s; poll_orders logged:\n{log}")
        time.sleep(CHECK_EVERY)


def all_expected_alerts(
    script: Script,
    *,
    reminder_hours: Mapping[str, int] | None = None,
    taken_at: Mapping[OrderKey, datetime] | None = None,
) -> Counter[AlertKey]:
    """Return every alert that a day must produce."""
    of_orders = expected_order_alerts(script, ZONES, reminder_hours=reminder_hours, taken_at=taken_at)
    return of_orders + expected_connection_alerts(script.hours)


def report(
    console: Console,
    title: str,
    script: Script,
    received: Received,
    *,
    expected: Counter[AlertKey],
    polls: int,
    seconds: float,
) -> bool:
    """Show the figures of the day, and compare the delivered alerts with the expected ones.

    Returns:
        Whether they are the same.
    """
    changes = script.changes_of_day
    latencies = _latencies(expected_status_alerts(changes), received) if received.delivered == expected else []
    messages = received.kinds.total() - received.kinds["watch.started"] - received.kinds["summary.daily"]
    by_kind = Counter(kind for _, _, kind in expected.elements())
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.add_row("orders watched", f"{sum(len(shop.orders()) for shop in script.shops):,}")
    table.add_row("polls", f"{polls:,}")
    table.add_row("status changes seen", f"{len(changes):,}")
    table.add_row("alerts expected", f"{expected.total():,}")
    table.add_row("of these late", f"{by_kind['order.late']:,}")
    table.add_row("of these at risk", f"{by_kind['order.at_risk']:,}")
    table.add_row("of these in stock again", f"{by_kind['order.restocked']:,}")
    table.add_row("of these reminders", f"{by_kind['order.reminder']:,}")
    table.add_row("alerts delivered", f"{received.delivered.total():,} in {messages:,} messages")
    table.add_row("visible to delivered, median", f"{statistics.median(latencies):.2f} s" if latencies else "-")
    table.add_row("visible to delivered, worst", f"{max(latencies):.2f} s" if latencies else "-")
    table.add_row("total time", f"{seconds:.0f} s")
    console.print(table)
    return compare_alerts(console, expected, received)


def compare_summary(console: Console, script: Script, received: Received) -> bool:
    """Show where the delivered summary differs from the expected one. Return whether they are the same."""
    expected = expected_summary(script, ZONES)
    delivered = delivered_figures(received.summary) if received.summary else {}
    if delivered == expected:
        waiting = sum(shop.waiting for shop in expected.values())
        console.print(f"The summary is correct to the cent: {waiting:,} orders need attention.", style="green")
        return True
    for connection_id in sorted(expected.keys() | delivered.keys()):
        if expected.get(connection_id) != delivered.get(connection_id):
            difference = f"expected {expected.get(connection_id)}, delivered {delivered.get(connection_id)}"
            console.print(f"wrong summary of {connection_id}: {difference}", style="red", highlight=False)
    return False


def compare_alerts(console: Console, expected: Counter[AlertKey], received: Received) -> bool:
    """Show which alerts are missing and which were not expected. Return whether there are none of either."""
    if received.delivered == expected:
        console.print("Every expected alert was delivered exactly once.", style="green")
        return True
    for title, differing in (("missing", expected - received.delivered), ("unexpected", received.delivered - expected)):
        for connection_id, order_id, kind in differing:
            subject = f"order {order_id} in {connection_id}" if order_id else connection_id
            console.print(f"{title}: {kind} of {subject}", style="red", highlight=False)
    return False


def _latencies(expected: list[tuple[AlertKey, VisibleChange]], received: Received) -> list[float]:
    """Seconds from the sync that made a change visible to the delivery of its alert."""
    delivered_at = {key: iter(sorted(times)) for key, times in received.delivered_at.items()}
    return [next(delivered_at[key]) - change.visible_monotonic for key, change in expected if key in received.delivered]
