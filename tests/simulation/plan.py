"""The plan of a seed: everything that is drawn once, before the run begins."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from orderwatch_local.simulator import Envelope, TrackstarDates

TICK = 300.0
PASSING_FAULTS = ("429", "500", "html", "reset", "refused", "timeout", "cut", "malformed", "half", "scalar")
STATUSES = ("open", "confirmed", "processing", "fulfilled", "exception", "backordered", "cancelled", "other", "on_hold")
WATCHED = frozenset({"exception", "backordered", "cancelled"})
QUIET = 0.35
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str,
    str.upper,
    lambda status: f" {status.capitalize()} ",
    lambda status: status.title().replace("_", " "),
    lambda status: status.replace("_", "-").replace("cancelled", "canceled"),
)
"""How the integration of a shop spells its statuses."""


def _sometimes(rng: random.Random, share: float, value: float) -> float:
    return value if rng.random() < share else 0.0


@dataclass(frozen=True)
class ShopPlan:
    """One shop of a seed.

    Attributes:
        orders: How many it has before the watch.
        sync_every: Seconds between Trackstar's syncs.
        said_frequency: The `sync_frequency` that its connection reports.
        dates: What it sends in the `trackstar_*` fields.
        late_by: Up to how many seconds a sync's stamps lie before the moment at which they can be seen.
        first_sync_after: Seconds until its historical sync is done.
        is_broken: It never answers, until the calm.
        shows_superseded: Its pages show orders twice.
    """

    connection_id: str
    orders: int
    sync_every: float
    said_frequency: int
    dates: TrackstarDates
    late_by: float
    first_sync_after: float
    is_broken: bool
    shows_superseded: bool


@dataclass(frozen=True)
class Plan:
    """One seed's run; chances are per outgoing call unless said otherwise.

    Attributes:
        only_one_is_broken: Nothing goes wrong but in the broken shop, so that the others can be held to the minute.
        actions: The most that DynamoDB takes in one transaction.
        shards: Of the alerts' stream, each with a sender of its own.
        misdated: The chance that an order arrives without a date of change, or with one of the future.
        storm: Whether it ends with a storm: a third of the time that a seed takes.
        split: The chance that a record closes its shard, and its children go on.
    """

    seed: int
    shops: tuple[ShopPlan, ...]
    only_one_is_broken: bool
    ticks: int
    page_size: int
    our_skew: float
    vendor_skew: float
    latency: float
    poll_timeout: float
    token_lifetime: float
    digest_threshold: int
    baseline_days: int
    notify_recovered: bool
    envelope: Envelope
    shards: int
    split: float
    storm: bool
    rate_limit: int
    actions: int
    http_faults: tuple[str, ...]
    http_fault: float
    aws_fault: float
    sns_fault: float
    death: float
    meanwhile: float
    late_event: float
    repeated_event: float
    garbled: float
    misdated: float
    flips: float
    vendor_jump: float
    life: float
    problems: int
    chance: random.Random = field(repr=False, compare=False)


def drawn(seed: int) -> Plan:
    """The plan of a seed; its `chance` goes on to decide everything that happens later."""
    rng = random.Random(f"orderwatch:{seed}")
    shops = _shops(rng)
    only_one_is_broken = any(shop.is_broken for shop in shops) and rng.random() < 0.5
    wild = rng.random() > QUIET and not only_one_is_broken
    faults = tuple(kind for kind in PASSING_FAULTS if rng.random() < 0.5)
    return Plan(
        seed=seed,
        shops=shops,
        only_one_is_broken=only_one_is_broken,
        ticks=rng.randint(5, 12),
        page_size=rng.choice((2, 2, 3, 4, 1000)),
        our_skew=rng.choice((0.0, 0.0, 2.0, -2.0, 90.0, -90.0, 1500.0, -1500.0)),
        vendor_skew=rng.choice((0.0, 0.0, 30.0, -30.0)),
        latency=rng.choice((0.05, 0.05, 0.3, 2.0, 6.0)),
        poll_timeout=rng.choice((120.0, 120.0, 60.0, 40.0)),
        token_lifetime=rng.choice((3600.0, 3600.0, 60.0, 8.0)),
        digest_threshold=rng.choice((1, 3, 5, 5)),
        baseline_days=rng.choice((0,) * 9 + (1,)),
        notify_recovered=rng.random() < 0.9,
        envelope=rng.choice(tuple(Envelope)),
        shards=rng.choice((4, 6, 8)),
        split=_sometimes(rng, 0.3, 0.05),
        storm=rng.random() < 0.25,
        rate_limit=rng.choice((10, 10, 2)),
        actions=rng.choice((100, 100, 8, 5)),
        http_faults=faults,
        http_fault=_sometimes(rng, 0.6 * wild, rng.choice((0.02, 0.1, 0.3))) if faults else 0.0,
        aws_fault=_sometimes(rng, 0.5 * wild, rng.choice((0.01, 0.05))),
        sns_fault=_sometimes(rng, 0.5 * wild, rng.choice((0.1, 0.5))),
        death=_sometimes(rng, 0.6 * wild, rng.choice((0.005, 0.02, 0.05))),
        meanwhile=_sometimes(rng, 0.7 * (not only_one_is_broken), rng.choice((0.02, 0.06, 0.15))),
        late_event=_sometimes(rng, 0.6 * wild, 0.2),
        repeated_event=_sometimes(rng, 0.6 * wild, 0.15),
        garbled=_sometimes(rng, 0.3, 0.1),
        misdated=_sometimes(rng, 0.4, 0.2),
        flips=_sometimes(rng, 0.5, 0.3),
        vendor_jump=_sometimes(rng, 0.25, 0.1),
        life=rng.choice((1.0, 2.0, 4.0)),
        problems=rng.choice((0, 0, 1, 2)) if wild else 0,
        chance=rng,
    )


def _shops(rng: random.Random) -> tuple[ShopPlan, ...]:
    return tuple(_shop(rng, f"conn_{letter}") for letter in "abc"[: rng.choice((1, 1, 2, 3))])


def _shop(rng: random.Random, connection_id: str) -> ShopPlan:
    sync_every = rng.choice((TICK, TICK, 900.0, 3600.0))
    return ShopPlan(
        connection_id=connection_id,
        orders=rng.choice((0, 2, 5, 9)),
        sync_every=sync_every,
        said_frequency=int(sync_every),
        dates=rng.choice((TrackstarDates.PRESENT,) * 6 + (TrackstarDates.NULL, TrackstarDates.ABSENT)),
        late_by=rng.choice((0.0, 0.0, 60.0, 590.0)),
        first_sync_after=rng.choice((0.0,) * 6 + (500.0,)),
        is_broken=connection_id == "conn_b" and rng.random() < 0.2,
        shows_superseded=rng.random() < 0.2,
    )
