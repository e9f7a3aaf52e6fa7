"""Run random mutants against a test tree: `python -m tests.mutants --count 150 --seed 1 --tests tests`.

Each mutant lives in a copy of the layer, never in the working tree. The tests that execute its statement run, those of
the first folder first; if they pass, those of `--then`. The result is JSON on the standard output.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.operators import PACKAGES, Mutant, sample

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers/orderwatch/python"
FOLDERS = ("unit", "integration")
"""Folders of a test tree whose tests are selected by line, in the order in which they run."""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "recorder", "--tb=no")
NO_TESTS = 5
LEAST_TIMEOUT, SLOWER, MAX_THEN, RECORD_TIMEOUT = 30.0, 5.0, 900.0, 7200.0
"""Seconds that tests may take at least; how many times longer than usual; seconds of `--then`, and of a recording."""


@dataclass(frozen=True)
class Tree:
    """A test tree: its folder `tests`, and a folder for temporary files."""

    tests: Path
    scratch: Path

    def pytest(self, layer: Path, arguments: Iterable[str], timeout: float, record: Path | None = None) -> int | None:
        """Run tests of the tree over a layer; the exit code of pytest, None where the time was up."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(layer), str(Path(__file__).parent)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.scratch / "hypothesis"),
        }
        if record:
            environment |= {"MUTANTS_RECORD": str(record), "MUTANTS_RECORDED_PATH": str(layer / "orderwatch")}
        command = [*PYTEST, "-o", f"pythonpath={layer} . cli local", *arguments]
        with subprocess.Popen(
            command, cwd=self.tests.parent, env=environment, stdout=sys.stderr if record else subprocess.DEVNULL,
            stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return None


@dataclass(frozen=True)
class Selection:
    """Which tests of a folder execute which line, by module, and how long they take."""

    by_line: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def recorded(cls, tree: Tree, folder: str) -> "Selection":
        """Run a folder's tests once, and record what each executes."""
        record = tree.scratch / f"{folder}.json"
        code = tree.pytest(LAYER, [f"{tree.tests.name}/{folder}"], RECORD_TIMEOUT, record)
        if code not in {0, 1}:
            raise SystemExit(f"{tree.tests}/{folder} cannot be recorded: pytest ended with {code}")
        found = json.loads(record.read_text())
        seconds: dict[str, float] = found["seconds"]
        by_line: dict[str, dict[int, list[str]]] = {}
        for path, executed in found["lines"].items():
            lines = by_line.setdefault(Path(path).relative_to(LAYER).as_posix(), {})
            for line, name in executed:
                if name in seconds:
                    lines.setdefault(line, []).append(name)
        return cls(by_line, seconds)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that execute its statement, the fast ones first."""
        first, last = mutant.lines
        lines = self.by_line.get(mutant.module, {}).items()
        tests = {name for line, names in lines if first <= line <= last for name in names}
        return sorted(tests, key=lambda name: (self.seconds[name], name))


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: `killed`, `timeout` (it counts as killed) or `survived`, and by how many tests."""

    mutant: Mutant
    state: str
    tests: int
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Its fields, the mutant's among them, with the text that it replaces."""
        mutant = self.mutant
        original = (LAYER / mutant.module).read_bytes()[mutant.begin : mutant.end].decode()
        found = {"state": self.state, "tests": self.tests, "seconds": round(self.seconds, 1)}
        return asdict(mutant) | {"original": original} | found


def tried(mutant: Mutant, tree: Tree, selections: Sequence[Selection], then: Sequence[str]) -> Outcome:
    """Run the tests against a mutant, in a copy of the layer."""
    began, count, state = time.monotonic(), 0, "survived"
    with tempfile.TemporaryDirectory(dir=tree.scratch) as folder:
        layer = Path(folder) / "python"
        shutil.copytree(LAYER, layer, ignore=shutil.ignore_patterns("__pycache__"))
        path = layer / mutant.module
        path.write_bytes(mutant.applied_to(path.read_bytes()))
        for selection in selections:
            if state == "survived" and (tests := selection.tests_of(mutant)):
                count += len(tests)
                usual = sum(selection.seconds[name] for name in tests)
                state = _state(tree.pytest(layer, ["-x", *tests], LEAST_TIMEOUT + SLOWER * usual))
        if state == "survived" and then:
            state = _state(tree.pytest(layer, ["-x", *then], MAX_THEN))
    return Outcome(mutant, state, count, time.monotonic() - began)


def _state(code: int | None) -> str:
    if code is None:
        return "timeout"
    return "survived" if code in {0, NO_TESTS} else "killed"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="mutants", description="Run random mutants of the layer against tests")
    parser.add_argument("--count", type=int, default=150, help="number of mutants")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choice")
    parser.add_argument("--modules", nargs="+", default=PACKAGES, help="packages or modules of the layer to mutate")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests", help="folder `tests` of the tree that runs")
    parser.add_argument("--folders", nargs="+", default=FOLDERS, choices=FOLDERS, help="folders with tests to select")
    parser.add_argument("--then", nargs="*", default=(), help="tests that run if the selected ones pass")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        tree = Tree(options.tests.resolve(), Path(scratch))
        mutants = sample(LAYER, count=options.count, seed=options.seed, modules=options.modules)
        with ThreadPoolExecutor(options.jobs) as pool:
            selections = list(pool.map(lambda folder: Selection.recorded(tree, folder), options.folders))
        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = []
            for outcome in pool.map(lambda each: tried(each, tree, selections, options.then), mutants):
                outcomes.append(outcome)
                mutant = outcome.mutant
                sys.stderr.write(f"{outcome.state:8} {mutant.module}:{mutant.line} {mutant.operator}\n")
    survived = sum(outcome.state == "survived" for outcome in outcomes)
    totals = {"mutants": len(outcomes), "killed": len(outcomes) - survived, "survived": survived}
    json.dump({**totals, "seed": options.seed, "each": [each.as_json() for each in outcomes]}, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
