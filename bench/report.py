"""What a benchmark found: sections of tables, the targets that they are held to, and both in Markdown."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.template import ROOT

type Say = Callable[[str], None]
"""Reports what is being measured."""


@dataclass(frozen=True)
class Target:
    """A figure that has a bound.

    Attributes:
        what: Which figure.
        measured: The figure, with its unit.
        bound: What it must not exceed, in the same words.
        holds: Whether it does not.
        floor: What nobody could do better, with its unit; empty where there is none.
    """

    what: str
    measured: str
    bound: str
    holds: bool
    floor: str = ""

    @classmethod
    def ratio(cls, what: str, value: float, *, at_most: float, floor: str = "1.00 x") -> "Target":
        """A figure in multiples of its floor; `floor` is what the floor itself takes, with its unit."""
        return cls(what, f"{value:.2f} x", f"at most {at_most} x", value <= at_most, floor)


@dataclass(frozen=True)
class Section:
    """One benchmark's table.

    Attributes:
        title: What was measured.
        text: How, in Markdown.
        head: The columns; the first is of words, the others of figures.
        rows: As many cells each.
        targets: What must hold.
    """

    title: str
    text: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: Sequence[Target] = ()

    def __str__(self) -> str:
        """The section in Markdown."""
        return f"## {self.title}\n\n{self.text}\n\n{markdown(self.head, self.rows)}"


def machine() -> str:
    """This machine, as far as its speed depends on it."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def targets_of(sections: Sequence[Section]) -> str:
    """The targets of all sections in Markdown."""
    targets, released = [target for section in sections for target in section.targets], last_release()
    rows = [
        [
            each.what,
            each.measured if each.holds else f"**{each.measured}, missed**",
            each.bound,
            each.floor or "-",
            released.get(each.what, "-"),
        ]
        for each in targets
    ]
    missed = sum(not each.holds for each in targets)
    held = f"{missed} of {len(targets)} targets are missed." if missed else f"All {len(targets)} targets hold."
    return f"## Targets\n\n{held}\n\n{markdown(['what', 'now', 'target', 'floor', 'last release'], rows)}"


def last_release() -> Mapping[str, str]:
    """The figures at the last version tag, by what they are about; empty if nothing was released."""
    tag = _git("describe", "--tags", "--abbrev=0").strip()
    page = _git("show", f"{tag}:docs/benchmarks.md") if tag else ""
    table = page.partition("## Targets")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {what: now for what, now, *_ in cells}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout


def document(sections: Sequence[Section], *, command: str, seconds: float) -> str:
    """Everything as a Markdown page."""
    when = f"on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.1f} minutes, on {machine()}"
    parts = [
        "# Benchmarks",
        f"`{command}` wrote this page {when}.",
        "Seconds depend on the machine. Ratios compare with a floor that was measured in the same run.",
        targets_of(sections),
        *map(str, sections),
    ]
    return "\n\n".join(parts) + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column has words, the others figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
