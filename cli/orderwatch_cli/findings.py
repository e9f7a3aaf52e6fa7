"""What doctor finds: one line a thing, with what to do where it is not as it should be."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from orderwatch.publishing.messages.text import clean


class Finding(BaseModel):
    """One thing that was looked at.

    Attributes:
        subject: What, such as `API key`.
        ok: Whether it is as it should be.
        found: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    subject: str
    ok: bool
    found: str
    remedy: str = ""


class Examination(BaseModel):
    """Everything that was looked at."""

    ok: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Examination":
        """What these findings come to."""
        listed = list(findings)
        return cls(ok=all(each.ok for each in listed), findings=listed)

    def lines(self) -> Iterator[str]:
        """One line a finding."""
        for each in self.findings:
            remedy = f" -> {each.remedy}" if each.remedy else ""
            yield f"{'ok' if each.ok else 'FAIL':<4}  {clean(f'{each.subject}: {each.found}{remedy}')}"


def good(subject: str, found: str) -> Finding:
    """As it should be."""
    return Finding(subject=subject, ok=True, found=found)


def bad(subject: str, found: str, remedy: str) -> Finding:
    """Not as it should be."""
    return Finding(subject=subject, ok=False, found=found, remedy=remedy)
