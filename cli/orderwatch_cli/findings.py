"""What doctor finds: one line a thing, with what to do where it is not as it should be."""

import textwrap
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from orderwatch.rendering.formatting import clean

_INDENT = " " * 6


class Finding(BaseModel):
    """One thing that was looked at.

    Attributes:
        subject: What, such as `API key`.
        ok: Whether it is as it should be.
        found: What was found.
        remedy: What to do; empty where nothing is to be done.
        command: What does it, as it can be pasted; empty where no command can.
    """

    subject: str
    ok: bool
    found: str
    remedy: str = ""
    command: str = ""


class Report(BaseModel):
    """Everything that was looked at."""

    ok: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Report":
        """What these findings come to."""
        listed = list(findings)
        return cls(ok=all(each.ok for each in listed), findings=listed)

    def lines(self, width: int | None = None) -> Iterator[str]:
        """A line a finding, its remedy below it, and the remedy's command in a line of its own, which is never broken.

        Args:
            width: Where to break the words of the others; None: nowhere.
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


def good(subject: str, found: str, remedy: str = "", command: str = "") -> Finding:
    """As it should be; the remedy is then a piece of advice."""
    return Finding(subject=subject, ok=True, found=found, remedy=remedy, command=command)


def bad(subject: str, found: str, remedy: str, command: str = "") -> Finding:
    """Not as it should be."""
    return Finding(subject=subject, ok=False, found=found, remedy=remedy, command=command)
