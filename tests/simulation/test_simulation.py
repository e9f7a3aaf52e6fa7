"""Simulated runs with every fault that we know of; `make soak SEEDS=20000` plays more of them."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.facts import Violation
from tests.simulation.run import run
from tests.support.template import ROOT

SEEDS = 300
SEEDS_A_TEST = 20
DIGEST = "from tests.simulation.run import run; print(run({seed}).digest)"


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_no_rule_is_broken_whatever_fails(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        try:
            run(seed)
        except Violation as violation:
            pytest.fail(f"seed {seed}: {violation}\nreplay it: make replay SEED={seed}", pytrace=False)


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_a_seed_has_the_same_trace_in_every_process(seed: int) -> None:
    digests = {digest_of(seed, hash_seed) for hash_seed in ("1", "2", "4", "9")}
    assert digests == {run(seed).digest} == {run(seed).digest}


def digest_of(seed: int, hash_seed: str) -> str:
    """The digest from another process, where sets have another order."""
    command = [sys.executable, "-c", DIGEST.format(seed=seed)]
    paths = f"{ROOT}:{ROOT}/layers/orderwatch/python:{ROOT}/local"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_runs_contain_every_event() -> None:
    seen = Counter[str]()
    for seed in (93, *range(200)):  # only few seeds, such as 93, have page tokens in a loop
        if set(seen) == set(EVENTS):
            break
        trace = "\n".join(run(seed).trace)
        seen.update(what for what in EVENTS if what in trace)
    assert set(seen) == set(EVENTS), f"never seen: {sorted(set(EVENTS) - set(seen))}"


EVENTS = (
    "dies before",
    "dies after",
    "runs out of time",
    "poll_orders/1 begins",
    "publish_alerts/1 begins",
    "page_token",
    "answered 422",
    "answered 401",
    "answered 429",
    "is blocked",
    "goes dark",
    "'kind': 'sweep'",
    "'attempt': Decimal('2')",
    "the stream loses",
    "the stream gives up",
    "splits",
    *(f"SNS's response is lost: {how}" for how in ("refused", "garbled", "again")),
    "the SDK retries",
    "sent order.digest",
    "sent order.recovered",
    "sent connection.blocked",
    "sent connection.unauthorized",
    "sent connection.stale",
    "sent connection.recovered",
    "garble",
    "misdate",
    "lead stuck",
    "lead loop",
    "flip",
    "the vendor's clock jumps",
    *(f"fault {kind}" for kind in ("429", "500", "html", "reset", "refused", "timeout", "cut", "malformed", "half")),
)
