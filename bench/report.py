"""What a benchmark found: sections of tables, the targets that they are held to, and both as text."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

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
    targets: Sequence[Target] = field(default_factory=tuple)


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


def show(console: Console, section: Section) -> None:
    """Print a section as a table."""
    table = Table(title=section.title, title_justify="left")
    for index, name in enumerate(section.head):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in section.rows:
        table.add_row(*row)
    console.print(table)


def show_targets(console: Console, targets: Iterable[Target]) -> None:
    """Print every target and whether it holds."""
    table = Table("what", "measured", "bound", "", title="Targets", title_justify="left")
    for each in targets:
        table.add_row(each.what, each.measured, each.bound, "holds" if each.holds else "[red]missed[/red]")
    console.print(table)


def document(sections: Sequence[Section], *, command: str, seconds: float) -> str:
    """Everything as a Markdown page."""
    targets = [target for section in sections for target in section.targets]
    rows = [[each.what, each.measured, each.bound, "holds" if each.holds else "**missed**"] for each in targets]
    when = f"on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.1f} minutes, on {machine()}"
    parts = [
        "# Benchmarks",
        f"`{command}` wrote this page {when}.",
        "Seconds depend on the machine. Ratios compare with a floor that was measured in the same run.",
        "## Targets",
        _markdown(["what", "measured", "bound", ""], rows),
        *(f"## {each.title}\n\n{each.text}\n\n{_markdown(each.head, each.rows)}" for each in sections),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
