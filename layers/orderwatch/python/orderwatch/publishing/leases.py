"""Leases on alerts: acquired before the send; afterwards the alert is marked as sent, or its lease is released."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.observability import logger


class Outbox(Protocol):
    """The alerts that are to be sent, and those that were sent (AlertTable)."""

    def unsent(self, keys: Collection[AlertKey]) -> Iterable[Alert]:
        """Return the alerts of these keys that are still pending."""

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        """Lease the alert to this owner; False if it was sent already or is leased to another owner."""

    def release(self, key: AlertKey, *, owner: str) -> None:
        """End the owner's lease of an alert that was not sent; the lease of another owner stays."""

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """Record that SNS accepted the message of the alert."""

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
            for key in list(self._held):
                self.release(key)

    def acquire(self, key: AlertKey) -> bool:
        """Lease the alert to this sender; False if it was sent already or is leased to another sender.

        Raises:
            Exception: The outbox did not respond. The lease may have been written, so it is released at the end.
        """
        self._held[key] = None
        if self._outbox.acquire(key, owner=self._owner):
            return True
        del self._held[key]
        return False

    def release(self, key: AlertKey) -> None:
        """Let other senders acquire the alert; if the outbox does not respond, the lease expires."""
        self._held.pop(key, None)
        try:
            self._outbox.release(key, owner=self._owner)
        except Exception as error:  # noqa: BLE001 - the other leases must still be released
            logger.warning("lease not released; it will expire", exc_info=error, extra={"alert_id": key.alert_id})

    def mark_sent(self, key: AlertKey, *, message_id: str) -> bool:
        """Record that SNS accepted the message of the alert.

        Returns:
            False if the outbox did not respond: the alert is sent again after the lease has expired (rule 2).
        """
        self._held.pop(key, None)
        try:
            self._outbox.mark_sent(key, message_id=message_id)
        except Exception as error:  # noqa: BLE001 - the other alerts must still be marked
            logger.error(
                "alert sent but not marked; will be sent again", exc_info=error, extra={"alert_id": key.alert_id}
            )
            return False
        return True
