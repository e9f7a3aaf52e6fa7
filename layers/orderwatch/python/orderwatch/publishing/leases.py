"""Leases on alerts: acquired before the send; afterwards the alert is marked as sent, or its lease is released."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import batched
from types import TracebackType
from typing import Protocol, Self

from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.observability import logger

BATCH = 100
"""Alerts that are marked or released together: one request to the outbox. If it fails, it fails for these."""


class Outbox(Protocol):
    """The alerts that are to be sent, and those that were sent (AlertTable)."""

    def unsent(self, keys: Collection[AlertKey]) -> Iterable[Alert]:
        """Return the alerts of these keys that are still pending."""

    def acquire(self, keys: Collection[AlertKey], *, owner: str) -> Collection[AlertKey]:
        """Lease alerts to this owner; return those that were neither sent already nor are leased to another owner."""

    def release(self, keys: Collection[AlertKey], *, owner: str) -> None:
        """End the owner's leases of alerts that were not sent; the leases of another owner stay."""

    def mark_sent(self, message_ids: Mapping[AlertKey, str]) -> None:
        """Record the messages with which SNS accepted the alerts, by alert."""

    def put(self, alert: Alert) -> bool:
        """Write a new alert; False if the outbox has an alert of this key already."""

    def alerts_since(self, connection_id: str, moment: datetime) -> Sequence[Alert]:
        """Return the alerts of a connection, or of a topic, since that time, newest first."""


class Leases:
    """The leases of one batch, under an owner id that no other batch has.

    As a context manager it releases at the end every lease that it still holds. If the process is being ended, it makes
    no more requests, and the leases expire.

    Args:
        outbox: The alerts.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._owner = uuid.uuid4().hex
        self._held: dict[AlertKey, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            self.release(self.held)

    @property
    def held(self) -> list[AlertKey]:
        """The alerts that are leased to this sender and were not sent."""
        return list(self._held)

    def acquire(self, keys: Collection[AlertKey]) -> Collection[AlertKey]:
        """Lease the alerts to this sender; return those that were neither sent already nor are leased to another one.

        Raises:
            Exception: The outbox did not respond. Leases may have been written, so they are released at the end.
        """
        self._held |= dict.fromkeys(keys)
        leased = self._outbox.acquire(keys, owner=self._owner)
        for key in keys:
            if key not in leased:
                del self._held[key]
        return leased

    def release(self, keys: Collection[AlertKey]) -> None:
        """Let other senders acquire the alerts; if the outbox does not respond, the leases expire."""
        for some in batched(keys, BATCH, strict=False):
            for key in some:
                self._held.pop(key, None)
            try:
                self._outbox.release(some, owner=self._owner)
            except Exception as error:  # noqa: BLE001 - the other leases must still be released
                extra = {"alert_ids": [key.alert_id for key in some]}
                logger.warning("leases not released; they will expire", exc_info=error, extra=extra)

    def mark_sent(self, message_ids: Mapping[AlertKey, str]) -> set[AlertKey]:
        """Record the messages with which SNS accepted the alerts, by alert.

        Returns:
            The alerts that are marked. If the outbox does not respond, the others are sent again after their leases
            have expired (rule 2).
        """
        marked: set[AlertKey] = set()
        for some in batched(message_ids.items(), BATCH, strict=False):
            for key, _ in some:
                self._held.pop(key, None)
            try:
                self._outbox.mark_sent(dict(some))
            except Exception as error:  # noqa: BLE001 - the other alerts must still be marked
                extra = {"alert_ids": [key.alert_id for key, _ in some]}
                logger.error("alerts sent but not marked; will be sent again", exc_info=error, extra=extra)
            else:
                marked |= {key for key, _ in some}
        return marked
