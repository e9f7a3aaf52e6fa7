"""The report of `orderwatch doctor`: findings, with a remedy for each problem."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from orderwatch.rendering.formatting import clean, plural
from orderwatch_cli.output import wrapped

OK, FAIL = "ok    ", "FAIL  "
"""How the lines of findings begin."""
_INDENT = " " * len(OK)


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
        """Yield one line for each finding, its remedy below it, and the command in a line of its own; then a tally.

        Problems come first.

        Args:
            width: Where to wrap lines, in characters; None: nowhere. Commands are never wrapped.
        """
        for each in sorted(self.findings, key=lambda finding: finding.ok):
            yield from wrapped(
                f"{OK if each.ok else FAIL}{clean(f'{each.subject}: {each.found}')}", width, indent=_INDENT
            )
            if each.remedy:
                colon = ":" if each.command else ""
                yield from wrapped(f"{_INDENT}{clean(each.remedy)}{colon}", width, indent=_INDENT)
            if each.command:
                yield f"{_INDENT}{clean(each.command)}"
        problems = sum(not each.ok for each in self.findings)
        yield f"{plural(problems, 'problem') if problems else 'no problems'}, {len(self.findings) - problems} ok"


def ok(subject: str, found: str, remedy: str = "", command: str = "") -> Finding:
    """Build a finding that is in order; its remedy is a recommendation."""
    return Finding(subject=subject, ok=True, found=found, remedy=remedy, command=command)


def fail(subject: str, found: str, remedy: str, command: str = "") -> Finding:
    """Build a finding about a problem."""
    return Finding(subject=subject, ok=False, found=found, remedy=remedy, command=command)
