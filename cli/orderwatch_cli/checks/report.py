"""The report of `orderwatch doctor`: findings, with a remedy for each problem."""

import textwrap
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from orderwatch.rendering.formatting import clean

_INDENT = " " * 6


class Finding(BaseModel):
    """The result of one check.

    Attributes:
        subject: What was checked, such as `API key`.
        ok: Whether it is in order.
        found: What the check found.
        remedy: What to do; empty if nothing is to be done.
        command: A command that does it; empty if there is none.
    """

    subject: str
    ok: bool
    found: str
    remedy: str = ""
    command: str = ""


class Report(BaseModel):
    """The findings of all checks."""

    ok: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Report":
        """Build the report, which is ok if every finding is."""
        listed = list(findings)
        return cls(ok=all(each.ok for each in listed), findings=listed)

    def lines(self, width: int | None = None) -> Iterator[str]:
        """Yield one line for each finding, its remedy below it, and the command in a line of its own.

        Args:
            width: Where to wrap lines, in characters; None: nowhere. Commands are never wrapped.
        """
        for each in self.findings:
            yield from _wrapped(f"{'ok' if each.ok else 'FAIL':<4}  {clean(f'{each.subject}: {each.found}')}", width)
            if each.remedy:
                colon = ":" if each.command else ""
                yield from _wrapped(f"{_INDENT}{clean(each.remedy)}{colon}", width)
            if each.command:
                yield f"{_INDENT}{clean(each.command)}"


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    return textwrap.wrap(
        text, max(width, 20), subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )


def ok(subject: str, found: str, remedy: str = "", command: str = "") -> Finding:
    """Build a finding that is in order; its remedy is a recommendation."""
    return Finding(subject=subject, ok=True, found=found, remedy=remedy, command=command)


def fail(subject: str, found: str, remedy: str, command: str = "") -> Finding:
    """Build a finding about a problem."""
    return Finding(subject=subject, ok=False, found=found, remedy=remedy, command=command)
