"""Who works on an order that needs attention: it is taken, snoozed, or neither (rule 24). Pure functions."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from orderwatch.alerts.parts import MAX_NOTE
from orderwatch.errors import OrderwatchError
from orderwatch.privacy import EMAIL, PHONE, mask_contacts
from orderwatch.sanitize import one_line

MAX_OWNER = 80
"""Maximum characters of a name."""


class OwnershipError(OrderwatchError):
    """A name, a note or a time is invalid; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who works on an order, and until when nobody wants to be reminded: part of its row.

    Attributes:
        owner: The name of who took it, as that person typed it; None: nobody has.
        taken_at: Our clock when it was taken.
        snoozed_until: No reminder before this time; None: not snoozed.
        note: What its owner wrote about it.
    """

    owner: str | None = None
    taken_at: datetime | None = None
    snoozed_until: datetime | None = None
    note: str | None = None

    def is_snoozed(self, at: datetime) -> bool:
        """Whether it is snoozed at this time."""
        return self.snoozed_until is not None and at < self.snoozed_until

    def awake(self, at: datetime) -> Self | None:
        """The same without a snooze that has ended at this time; None if nothing remains."""
        if self.snoozed_until is None or self.is_snoozed(at):
            return self
        return replace(self, snoozed_until=None) if self.owner or self.note else None


def taken(before: Ownership | None, owner: str, *, at: datetime, note: str | None = None) -> Ownership:
    """The order is taken, whoever had it before. This ends a snooze; a note stays unless a new one is given.

    Args:
        before: Its ownership up to now.
        owner: A name.
        at: When it is taken.
        note: A note, if any.

    Raises:
        OwnershipError: The name or the note is invalid.
    """
    return Ownership(_name(owner), at, note=_note(note, before))


def snoozed(before: Ownership | None, *, until: datetime, at: datetime, note: str | None = None) -> Ownership:
    """The order is snoozed. Its owner stays; a note stays unless a new one is given.

    Args:
        before: Its ownership up to now.
        until: When the snooze ends.
        at: When it is snoozed.
        note: A note, if any.

    Raises:
        OwnershipError: The time is not in the future, or the note is invalid.
    """
    if until <= at:
        raise OwnershipError("a snooze must end in the future")
    return replace(before or Ownership(), snoozed_until=until, note=_note(note, before))


def _name(owner: str) -> str:
    name = _one_line("name", owner, MAX_OWNER)
    if not name:
        raise OwnershipError("a name is missing")
    if name in {EMAIL, PHONE}:
        raise OwnershipError("use a name, not an e-mail address or a phone number")
    return name


def _note(note: str | None, before: Ownership | None) -> str | None:
    if note is None:
        return before.note if before else None
    return _one_line("note", note, MAX_NOTE) or None


def _one_line(what: str, text: str, limit: int) -> str:
    """The text without control characters and contact data."""
    line = mask_contacts(one_line(text, len(text)))
    if len(line) > limit:
        raise OwnershipError(f"the {what} has {len(line)} characters, and {limit} are allowed")
    return line
