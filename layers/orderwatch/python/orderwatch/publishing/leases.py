"""The alerts that one sender holds: claimed before the send, marked after it, and free again whatever goes wrong."""

import uuid
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Protocol, Self

from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.observability import logger


class Outbox(Protocol):
    """What publishing needs of AlertTable."""

    def unsent(self, keys: Collection[AlertKey]) -> Iterable[Alert]:
        """Return those of these alerts that are still pending."""

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        """Reserve the alert for this owner; False if it was sent already or another one holds it."""

    def release(self, key: AlertKey, *, owner: str) -> None:
        """Give up the claim of an alert that was not sent; one that another owner holds stays."""

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """Record that SNS accepted the alert's message."""


class Leases:
    """The claims of one batch, under an owner's id that no other batch has.

    As a context it releases at its end what it still holds, unless the process is being ended: then they expire.

    Args:
        outbox: The ledger.
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
        """Reserve the alert for this sender; False if it was sent already or another sender holds it.

        Raises:
            Exception: The ledger did not answer; the claim is released at the end, as it may have been written.
        """
        self._held[key] = None
        if self._outbox.acquire(key, owner=self._owner):
            return True
        del self._held[key]
        return False

    def release(self, key: AlertKey) -> None:
        """Let other senders have the alert; where the ledger does not answer, the claim ends by itself."""
        self._held.pop(key, None)
        try:
            self._outbox.release(key, owner=self._owner)
        except Exception as error:  # noqa: BLE001 - it must not keep the others from being released
            logger.warning("a claim stays until it expires", exc_info=error, extra={"alert_id": key.alert_id})

    def mark_sent(self, key: AlertKey, *, message_id: str) -> bool:
        """Record that SNS accepted the alert's message.

        Returns:
            False if the ledger did not answer: the alert is sent again once the claim has expired (rule 2).
        """
        self._held.pop(key, None)
        try:
            self._outbox.mark_sent(key, message_id=message_id)
        except Exception as error:  # noqa: BLE001 - it must not keep the others from being marked
            logger.error("sent and not marked", exc_info=error, extra={"alert_id": key.alert_id})
            return False
        return True
