"""What a benchmark found: sections of tables, the targets that they are held to, and both in Markdown."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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
    """

    what: str
    measured: str
    bound: str
    holds: bool

    @classmethod
    def ratio(cls, what: str, value: float, *, at_most: float) -> "Target":
        """A figure in multiples of its floor."""
        return cls(what, f"{value:.2f} x the floor", f"at most {at_most} x", value <= at_most)


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
    targets = [target for section in sections for target in section.targets]
    rows = [[each.what, each.measured, each.bound, "holds" if each.holds else "**missed**"] for each in targets]
    return "## Targets\n\n" + markdown(["what", "measured", "bound", ""], rows)


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
