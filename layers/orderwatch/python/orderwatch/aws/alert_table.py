"""AlertTable: one row for each alert; the outbox, and the log of what was sent."""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any
from zlib import crc32

from pydantic import ValidationError

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.dynamodb import (
    MAX_ACTIONS,
    Action,
    Transactions,
    Unit,
    batch_get,
    patient,
    put_action,
    query,
    update_action,
)
from orderwatch.model import describe_flaws
from orderwatch.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEASE_DURATION = timedelta(seconds=310)
"""Longer than publish_alerts and redrive_alerts can run (300 seconds)."""
KEPT_AFTER_SENT = timedelta(days=90)
"""How long the row of a sent alert is kept; the row of a pending alert never expires."""
LONGEST_STORM = timedelta(hours=25)
"""How much earlier than an alert another one of its message can have been written: the longest quiet hours."""
PENDING = "pending"
SENT = "sent"
PENDING_PARTITIONS = (PENDING, *(f"{PENDING}#{number}" for number in range(1, 16)))
"""The hash values of the index `pending`: one takes 1,000 writes a second. Any of them makes an alert pending."""
HELD_PARTITIONS = tuple(f"held#{number}" for number in range(16))
"""The hash values of the index `pending` for alerts that wait for the end of quiet hours."""
_ALL_PARTITIONS = (*PENDING_PARTITIONS, *HELD_PARTITIONS)
_KEYS_ONLY = "connection_id, alert_id"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A row as an operator sees it.

    Attributes:
        key: The key.
        kind: Such as `order.exception`.
        order_id: Trackstar's id of the order, if the alert is about one.
        status: The order's status.
        previous_status: The order's status before.
        state: `PENDING` or `SENT`.
        created_at: Our clock when the row was written.
        deliver_after: The end of the quiet hours for which it waits, or waited; None: it is sent at once.
        sent_at: Our clock when SNS accepted the message.
        attempts: Number of attempts to send it.
        message_id: SNS's id of the message.
        alert: The alert; None if it cannot be parsed because another release wrote it.
    """

    key: AlertKey
    kind: str
    order_id: str | None
    status: str | None
    previous_status: str | None
    state: str
    created_at: datetime
    deliver_after: datetime | None
    sent_at: datetime | None
    attempts: int
    message_id: str | None
    alert: Alert | None


class AlertTable:
    """The rows of alerts.

    The index `by_time` finds the alerts of a connection by the time when they were written. The sparse index `pending`
    does the same for all alerts that were not sent, in sixteen partitions, and in sixteen more for those that wait for
    the end of quiet hours. An alert that cannot be parsed, because another release wrote it, is logged and affects no
    other alert.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def patient(self, has_time: Callable[[], bool]) -> "AlertTable":
        """The same rows; a request that DynamoDB throttles is repeated as long as there is time.

        The alerts of a storm share a partition, which takes 1,000 write units a second. Lease and mark of an alert take
        eight of them.
        """
        return AlertTable(patient(self._client, has_time), self._name)

    def put_action(self, alert: Alert, *, snapshot: str | None = None, deliver_after: datetime | None = None) -> Action:
        """The write of a new alert, on condition that no row has its key (rule 2).

        Args:
            alert: The alert.
            snapshot: For a summary, the snapshot that the next one compares with; it is not sent.
            deliver_after: The end of the quiet hours for which it waits; None: it is sent at once.
        """
        order = alert.order
        row = {
            **alert.key._asdict(),
            "kind": alert.kind,
            "order_id": order.id if order else None,
            "status": order.status if order else None,
            "previous_status": order.previous_status if order else None,
            "alert": alert.model_dump_json(exclude_none=True),
            "state": PENDING,
            "pending": _partition(alert.alert_id, HELD_PARTITIONS if deliver_after else PENDING_PARTITIONS),
            "created_at": clock.now().isoformat(),
            "deliver_after": deliver_after.isoformat() if deliver_after else None,
            "attempts": 0,
            "snapshot": snapshot,
        }
        return put_action(self._name, row, condition="attribute_not_exists(alert_id)", values={})

    def put(self, alert: Alert, *, snapshot: str | None = None) -> bool:
        """Write a new alert, a summary with its `snapshot`; False if a row has its key already."""
        return not Transactions(self._client).write([Unit(alert, (self.put_action(alert, snapshot=snapshot),))])

    def unsent(self, keys: Collection[AlertKey]) -> list[Alert]:
        """The alerts of these keys that are still to be sent, without those that wait for the end of quiet hours.

        They are in the order of the keys; 100 consistent reads a request.
        """
        rows = batch_get(self._client, self._name, (key._asdict() for key in keys))
        now = clock.now()
        alerts = {_key(row): _read(row) for row in rows if row["state"] == PENDING and _is_due(row, now)}
        return [alert for key in keys if (alert := alerts.get(key))]

    def pending_since_before(self, moment: datetime) -> dict[AlertKey, datetime]:
        """The pending alerts that were written before that time, oldest first, without those of `held`.

        Each has the time when it was written.
        """
        rows = self._written_before(moment, PENDING_PARTITIONS)
        return {_key(row): datetime.fromisoformat(_created_at(row)) for row in rows}

    def held(self) -> dict[AlertKey, datetime]:
        """The pending alerts that wait or waited for the end of quiet hours, in the order of writing, with that end."""
        rows = self.rows(map(_key, self._written_before(clock.now(), HELD_PARTITIONS)))
        return {row.key: row.deliver_after for row in rows if row.state == PENDING and row.deliver_after}

    def _written_before(self, moment: datetime, partitions: Iterable[str]) -> Iterator[dict[str, Any]]:
        condition = "pending = :pending AND created_at < :moment"
        by_partition = [
            query(self._client, self._name, "pending", condition, {":pending": each, ":moment": moment.isoformat()})
            for each in partitions
        ]
        return heapq.merge(*by_partition, key=_created_at)

    def written_since(self, connection_id: str, moment: datetime) -> list[tuple[Alert, str | None]]:
        """The alerts of a connection, or of a topic, since that time, newest first, each with its row's snapshot."""
        condition = "connection_id = :connection_id AND created_at >= :moment"
        values = {":connection_id": connection_id, ":moment": moment.isoformat()}
        found = query(self._client, self._name, "by_time", condition, values, ProjectionExpression=_KEYS_ONLY)
        rows = batch_get(self._client, self._name, (_key(row)._asdict() for row in found))
        newest_first = sorted(rows, key=_created_at, reverse=True)
        return [(alert, row.get("snapshot")) for row in newest_first if (alert := _read(row))]

    def alerts_since(self, connection_id: str, moment: datetime) -> list[Alert]:
        """The alerts of a connection, or of a topic, since that time, newest first."""
        return [alert for alert, _ in self.written_since(connection_id, moment)]

    def acquire(self, keys: Iterable[AlertKey], *, owner: str) -> set[AlertKey]:
        """Lease the alerts to this owner and count the attempt; 100 a request.

        An owner can repeat it: a lease of its own does not stop it, because the response to the first may be lost.

        Returns:
            The alerts that are leased now, without those that were sent or are leased to another owner.

        Raises:
            ClientError: DynamoDB did not respond, or kept refusing; some of the leases may be written.
        """
        now = clock.now()
        values = {
            ":until": int((now + LEASE_DURATION).timestamp()),
            ":now": int(now.timestamp()),
            ":owner": owner,
            ":one": 1,
            ":pending": PENDING,
        }
        return self._update(
            dict.fromkeys(keys, values),
            "SET leased_until = :until, lease_owner = :owner ADD attempts :one",
            condition="#state = :pending AND "
            "(attribute_not_exists(leased_until) OR leased_until <= :now OR lease_owner = :owner)",
        )

    def release(self, keys: Iterable[AlertKey], *, owner: str) -> None:
        """End the owner's leases of alerts that were not sent; the leases of another owner stay. 100 a request."""
        self._update(
            {key: {":pending": PENDING, ":owner": owner} for key in keys},
            "REMOVE leased_until, lease_owner",
            condition="#state = :pending AND lease_owner = :owner",
        )

    def mark_sent(self, message_ids: Mapping[AlertKey, str]) -> None:
        """Record the messages with which SNS accepted the alerts, by alert; from now on the rows can expire.

        100 alerts a request.
        """
        now = clock.now()
        sent = {
            ":sent": SENT,
            ":now": now.isoformat(),
            ":expires_at": int((now + KEPT_AFTER_SENT).timestamp()),
        }
        self._update(
            {key: {**sent, ":message_id": message_id} for key, message_id in message_ids.items()},
            "SET #state = :sent, sent_at = :now, message_id = :message_id, expires_at = :expires_at "
            "REMOVE pending, leased_until, lease_owner",
            condition="attribute_exists(alert_id)",
        )

    def recent(self, connection_ids: Iterable[str], *, since: datetime | None = None) -> Iterator[AlertRow]:
        """Yield the alerts of these connections, newest first; only those written since that time, if given."""
        by_connection = [self._newest_first("by_time", "connection_id", each, since) for each in connection_ids]
        return self.rows(map(_key, heapq.merge(*by_connection, key=_created_at, reverse=True)))

    def recent_pending(self, *, since: datetime | None = None) -> Iterator[AlertRow]:
        """Yield the pending alerts of all connections, newest first."""
        by_partition = [self._newest_first("pending", "pending", each, since) for each in _ALL_PARTITIONS]
        return self.rows(map(_key, heapq.merge(*by_partition, key=_created_at, reverse=True)))

    def sent_together(self, row: AlertRow) -> list[AlertRow]:
        """The alerts that were sent in the same message as this one, itself included, in the order of writing."""
        condition = "connection_id = :connection_id AND created_at BETWEEN :first AND :last"
        values = {
            ":connection_id": row.key.connection_id,
            ":first": (row.created_at - LONGEST_STORM).isoformat(),
            ":last": (row.sent_at or row.created_at).isoformat(),
        }
        found = query(self._client, self._name, "by_time", condition, values, ProjectionExpression=_KEYS_ONLY)
        return [each for each in self.rows(map(_key, found)) if each.message_id == row.message_id]

    def rows(self, keys: Iterable[AlertKey]) -> Iterator[AlertRow]:
        """Yield the rows of these keys in their order, without those that have expired; lazy, 100 a request."""
        for some in batched(keys, MAX_ACTIONS, strict=False):
            found = batch_get(self._client, self._name, (key._asdict() for key in some))
            rows = {_key(row): row for row in found}
            yield from (_alert_row(rows[key]) for key in some if key in rows)

    def _newest_first(self, index: str, partition: str, value: str, since: datetime | None) -> Iterator[dict[str, Any]]:
        condition = f"{partition} = :value" + (" AND created_at >= :since" if since else "")
        values = {":value": value, ":since": since.isoformat() if since else None}
        return query(self._client, self._name, index, condition, values, ScanIndexForward=False, Limit=MAX_ACTIONS)

    def _update(self, values: Mapping[AlertKey, Mapping[str, Any]], update: str, *, condition: str) -> set[AlertKey]:
        """Update the rows with these keys and values; return those whose condition held."""
        names = {"#state": "state"}
        units = (
            Unit(
                key, (update_action(self._name, key._asdict(), update, condition=condition, values=each, names=names),)
            )
            for key, each in values.items()
        )
        return {unit.subject for unit in Transactions(self._client).write_all(units)}


def _partition(alert_id: str, partitions: Sequence[str]) -> str:
    """Spread by alert, not by connection: a few large shops could share a partition."""
    return partitions[crc32(alert_id.encode()) % len(partitions)]


def _is_due(row: Mapping[str, Any], now: datetime) -> bool:
    return "deliver_after" not in row or datetime.fromisoformat(row["deliver_after"]) <= now


def _created_at(row: Mapping[str, Any]) -> str:
    return str(row["created_at"])


def _key(row: Mapping[str, Any]) -> AlertKey:
    return AlertKey(row["connection_id"], row["alert_id"])


def _alert_row(row: dict[str, Any]) -> AlertRow:
    return AlertRow(
        key=_key(row),
        kind=row["kind"],
        order_id=row.get("order_id"),
        status=row.get("status"),
        previous_status=row.get("previous_status"),
        state=row["state"],
        created_at=datetime.fromisoformat(row["created_at"]),
        deliver_after=datetime.fromisoformat(row["deliver_after"]) if "deliver_after" in row else None,
        sent_at=datetime.fromisoformat(row["sent_at"]) if "sent_at" in row else None,
        attempts=int(row["attempts"]),
        message_id=row.get("message_id"),
        alert=_read(row),
    )


def _read(row: dict[str, Any]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError as error:
        extra = {"alert_id": row["alert_id"], "flaws": describe_flaws(error)}
        logger.error("stored alert is invalid; skipped", extra=extra)
        return None
