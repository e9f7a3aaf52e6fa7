"""Play many seeds, or one with its trace: `python -m tests.simulation.soak --seeds 20000`, `... --replay 123`."""

import argparse
import multiprocessing
import sys
import time

from tests.simulation.facts import Violation
from tests.simulation.run import run

REPORT_EVERY = 5.0
PROCESSES = 2
SEEDS_A_TASK = 10
TASKS_A_PROCESS = 20
"""A process is replaced after this many tasks: the memory of thousands of runs slows the next ones down."""


def error_of(seed: int) -> tuple[int, str | None]:
    """Play a seed; the error, None where there is none."""
    try:
        run(seed)
    except Violation as violation:
        return seed, str(violation)
    except Exception as error:  # noqa: BLE001 - report the seed whatever the error is
        return seed, repr(error)
    return seed, None


def soak(seeds: range) -> int:
    """Play the seeds in two processes, report the progress, and return how many failed."""
    began = reported = time.monotonic()
    failed = 0
    with multiprocessing.get_context("spawn").Pool(PROCESSES, maxtasksperchild=TASKS_A_PROCESS) as pool:
        outcomes = pool.imap_unordered(error_of, seeds, chunksize=SEEDS_A_TASK)
        for done, (seed, error) in enumerate(outcomes, start=1):
            if error:
                failed += 1
                _say(f"seed {seed}: {error}\n  replay it: make replay SEED={seed}")
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                _say(f"{done:,} of {len(seeds):,} seeds, {done / (reported - began):.1f} a second, {failed} failed")
    _say(
        f"seeds {seeds.start} to {seeds.stop - 1}: {failed} of {len(seeds):,} failed, {time.monotonic() - began:.0f} s"
    )
    return failed


def replay(seed: int) -> int:
    """Play one seed and show what happened in it; 1 if it fails."""
    error = ""
    try:
        played = run(seed)
        trace = (str(played.plan), *played.trace)
    except Violation as violation:
        trace, error = violation.trace, str(violation)
    _say("\n".join(trace))
    _say(f"seed {seed}: {error or 'clean'}")
    return int(bool(error))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--replay", type=int)
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay)
    return int(soak(range(options.first, options.first + options.seeds)) > 0)


if __name__ == "__main__":
    sys.exit(main())
