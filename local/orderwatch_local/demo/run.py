"""The demo: a scripted day of three simulated shops, played to the deployed template on the local cloud.

It ends well only if what was delivered is exactly what the script made visible.
"""

import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from orderwatch_local.cloud.inbox import JsonInbox, Mail, Mailbox, show_box
from orderwatch_local.cloud.watch import Watch, WatchedShop, watching
from orderwatch_local.demo.expected import (
    AlertKey,
    alerts_in,
    expected_alerts,
    expected_connection_alerts,
    figures_in,
    owed_about_orders,
    summary_of,
)
from orderwatch_local.simulator import Script, Shop, Visible, day_of_three_shops, serve
from orderwatch_local.simulator.script import API_KEY, SHOP_NAMES

ZONES = {"conn_lumiere": "Europe/Paris", "conn_sora": "Asia/Tokyo"}
"""Where the days of shops end: their own settings."""
READ_WITHIN = 60.0
"""Seconds for one round of polls: a wide bound, so that a fault ends the demo instead of hanging it."""
DELIVERED_WITHIN = 60.0
"""Seconds for the last alerts of the day."""
LOOK_EVERY = 0.05
"""Seconds between two looks at how far the polls have come."""


@dataclass
class Received:
    """What the subscriber got, and when. Written by the inboxes' threads, read by the demo's."""

    delivered: Counter[AlertKey] = field(default_factory=Counter)
    delivered_at: dict[AlertKey, list[float]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    summary: dict[str, Any] | None = None
    mails: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def acquire(self, body: str) -> None:
        """Count a delivered alert."""
        alert = json.loads(body)
        with self.changed:
            self.kinds[alert["kind"]] += 1
            self.summary = alert.get("daily") or self.summary
            for key in alerts_in(alert):
                self.delivered[key] += 1
                self.delivered_at.setdefault(key, []).append(time.monotonic())
            self.changed.notify_all()

    def take_mail(self) -> None:
        """Count a mail."""
        with self.changed:
            self.mails += 1
            self.changed.notify_all()

    def has_all(self, expected: Counter[AlertKey], *, baselines: int) -> bool:
        """Whether every alert has come, and that so many watches have begun."""
        return self.delivered >= expected and self.kinds["watch.started"] >= baselines

    def await_all(self, expected: Counter[AlertKey], *, baselines: int, by_mail: bool = False) -> None:
        """Wait until everything has come, by mail too where there is a mailbox; a minute at most."""
        with self.changed:
            self.changed.wait_for(
                lambda: (
                    self.has_all(expected, baselines=baselines) and not (by_mail and self.mails < self.kinds.total())
                ),
                timeout=DELIVERED_WITHIN,
            )

    def await_summary(self) -> None:
        """Wait for the summary, by mail too; a minute at most."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.summary is not None and self.mails >= self.kinds.total(), timeout=DELIVERED_WITHIN
            )


def run_demo(console: Console, *, seed: int = 1, pause: float = 0.0) -> bool:
    """Play the day and show it.

    Args:
        console: Where to.
        seed: Which day.
        pause: Seconds to wait after each hour, to read along.

    Returns:
        Whether what was delivered is what the script made visible.

    Raises:
        LocalCloudError: The local cloud did not start, build or deploy.
    """
    begun = time.monotonic()
    script = day_of_three_shops(seed)
    trackstar = script.begin()
    shops = [
        WatchedShop(shop.connection_id, SecretStr(shop.access_token), SHOP_NAMES[shop.connection_id], _settings(shop))
        for shop in trackstar.shops
    ]
    received = Received()

    def step(what: str) -> Any:
        return timed(console, what)

    with (
        serve(trackstar) as server,
        watching(shops, api_key=SecretStr(API_KEY), parameters={"TrackstarBaseUrl": server.url}, step=step) as watch,
        Mailbox(watch.cloud, watch.outputs.alert_topic_arn, printer(console, received)),
        JsonInbox(
            watch.cloud.client("sqs"), watch.cloud.subscribe_queue(watch.outputs.alert_topic_arn), received.acquire
        ),
    ):
        _play(console, script, watch, received, pause=pause)
    polls = sum(1 for request in trackstar.requests if request.path.startswith("/connections/"))
    title = "A day of three shops"
    has_ship_by = report(console, title, script, received, polls=polls, seconds=time.monotonic() - begun)
    return judge_summary(console, script, received) and has_ship_by


def _settings(shop: Shop) -> str | None:
    zone = ZONES.get(shop.connection_id)
    return json.dumps({"time_zone": zone}) if zone else None


@contextmanager
def timed(console: Console, what: str) -> Iterator[None]:
    """Show that a step goes on, and how long it took."""
    begun = time.monotonic()
    with console.status(f"{what} ..."):
        yield
    console.print(f"{what}: {time.monotonic() - begun:.1f} s", style="dim", highlight=False)


def printer(console: Console, received: Received) -> Callable[[Mail], None]:
    """What shows each mail, and counts it."""

    def show(mail: Mail) -> None:
        show_box(console, mail)
        received.take_mail()

    return show


def _play(console: Console, script: Script, watch: Watch, received: Received, *, pause: float) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("first poll: the baseline", total=len(script.hours) + 1)
        _poll(watch, script.clock.now())
        for hour in script.hours:
            progress.update(task, advance=1, description=f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes")
            script.apply(hour)
            script.sync()
            _poll(watch, hour.ends_at)
            time.sleep(pause)
        progress.update(task, advance=1, description="the last alerts")
        received.await_all(alerts_of(script), baselines=len(watch.shops), by_mail=True)
        progress.update(task, description="the summary of the day")
        watch.sum_up(send=True)
        received.await_summary()


def _poll(watch: Watch, until: datetime) -> None:
    """Poll every shop and wait until each was read up to the moment.

    Raises:
        TimeoutError: A poll failed; its log's end is in the message.
    """
    watch.poll_now()
    deadline = time.monotonic() + READ_WITHIN
    while not all(state.cursor and state.cursor >= until for state in watch.states()):
        if time.monotonic() > deadline:
            log = watch.cloud.logs(watch.outputs.poll_orders_function_name, lines=10)
            raise TimeoutError(f"a poll did not end within {READ_WITHIN:.0f} s; poll_orders logged:\n{log}")
        time.sleep(LOOK_EVERY)


def alerts_of(script: Script) -> Counter[AlertKey]:
    """Everything that the day asks for."""
    return owed_about_orders(script, ZONES) + expected_connection_alerts(script.hours)


def report(console: Console, title: str, script: Script, received: Received, *, polls: int, seconds: float) -> bool:
    """Show what the day asked for beside what was delivered.

    Returns:
        Whether they are the same.
    """
    expected = alerts_of(script)
    latencies = _latencies(expected_alerts(script.truth_of_the_day), received) if received.delivered == expected else []
    messages = received.kinds.total() - received.kinds["watch.started"] - received.kinds["summary.daily"]
    orders = sum(len(shop.orders()) for shop in script.shops)
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.add_row("orders watched", f"{orders:,}")
    table.add_row("polls", f"{polls:,}")
    table.add_row("status changes seen", f"{len(script.truth_of_the_day):,}")
    table.add_row("alerts the script asks for", f"{expected.total():,}")
    in_time = Counter(kind for _, _, kind in expected.elements())
    table.add_row("of which late, at risk", f"{in_time['order.late']:,}, {in_time['order.at_risk']:,}")
    table.add_row("alerts delivered", f"{received.delivered.total():,} in {messages:,} messages")
    table.add_row("visible to delivered, median", f"{statistics.median(latencies):.2f} s" if latencies else "-")
    table.add_row("visible to delivered, worst", f"{max(latencies):.2f} s" if latencies else "-")
    table.add_row("the whole run", f"{seconds:.0f} s")
    console.print(table)
    return verdict(console, expected, received)


def judge_summary(console: Console, script: Script, received: Received) -> bool:
    """Show where the summary of the day differs from what could be seen of the shops; whether it does not."""
    owed, alerted = summary_of(script, ZONES), figures_in(received.summary) if received.summary else {}
    for connection_id in sorted(owed.keys() | alerted.keys()):
        if owed.get(connection_id) != alerted.get(connection_id):
            found = f"{connection_id}: {alerted.get(connection_id)}, and not {owed.get(connection_id)}"
            console.print(f"the summary is wrong about {found}", style="red", highlight=False)
    if owed != alerted:
        return False
    waiting = sum(shop.waiting for shop in owed.values())
    console.print(f"The summary of the day says what waits: {waiting:,} orders, to the cent.", style="green")
    return True


def verdict(console: Console, expected: Counter[AlertKey], received: Received) -> bool:
    """Show what is missing and what is too much; whether there is neither."""
    if received.delivered == expected:
        console.print("Every alert that the day asked for was delivered, each once.", style="green")
        return True
    for title, differing in (("missing", expected - received.delivered), ("too many", received.delivered - expected)):
        for connection_id, order_id, kind in differing:
            subject = f"order {order_id} in {connection_id}" if order_id else connection_id
            console.print(f"{title}: {kind} of {subject}", style="red", highlight=False)
    return False


def _latencies(expected: list[tuple[AlertKey, Visible]], received: Received) -> list[float]:
    """Seconds from the sync that made a change visible to its alert, for each that was delivered."""
    came = {key: iter(sorted(times)) for key, times in received.delivered_at.items()}
    return [next(came[key]) - change.visible_monotonic for key, change in expected if key in received.delivered]
