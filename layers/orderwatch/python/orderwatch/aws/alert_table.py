"""AlertTable: one row an alert, outbox and ledger in one.

Its partition key is the connection, so that all alerts of one come through one shard of the stream, in order and
together (rule 17). A row is `pending` until its message was sent. A sender claims it for a while before it sends: two
senders cannot hold the same alert. A claim names its owner, who can repeat it: the SDK does where an answer was lost.
It expires, so a sender that died delays nothing for long.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.dynamodb import Action, batch_get, from_item, put_action, to_item
from orderwatch.model import describe_flaws
from orderwatch.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLAIM = timedelta(seconds=130)
"""How long a claim lasts: longer than publish_alerts runs (120 seconds)."""
KEPT_AFTER_SENT = timedelta(days=90)
"""How long a sent row is kept; one that is pending never expires."""
PENDING = "pending"
SENT = "sent"


class AlertTable:
    """The rows of alerts.

    Args:
        client: DynamoDB.
        name: The table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def put_action(self, alert: Alert, *, memory: str | None = None) -> Action:
        """Build the write of a new alert, on condition that no row has its key (rule 2).

        Args:
            alert: Any.
            memory: Of a summary, what the next one compares with; no part of what is sent.
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
            "pending": PENDING,
            "created_at": clock.now().isoformat(),
            "attempts": 0,
            "memory": memory,
        }
        return put_action(self._name, row, condition="attribute_not_exists(alert_id)", values={})

    def unsent(self, keys: Collection[AlertKey]) -> list[Alert]:
        """Return those of these alerts that are still pending, in the order of the keys; consistent, 100 a request.

        An alert that cannot be read (another release wrote it) is logged, stays pending and delays no other.
        """
        rows = batch_get(self._client, self._name, (key._asdict() for key in keys))
        alerts = {_key(row): _read(row) for row in rows if row["state"] == PENDING}
        return [alert for key in keys if (alert := alerts.get(key))]

    def pending_since_before(self, moment: datetime) -> Iterator[AlertKey]:
        """List the alerts that were made before the moment and not sent, oldest first, by the sparse index."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="pending",
            KeyConditionExpression="pending = :pending AND created_at < :moment",
            ExpressionAttributeValues=to_item({":pending": PENDING, ":moment": moment.isoformat()}),
            ProjectionExpression="connection_id, alert_id",
        )
        for page in pages:
            yield from (_key(from_item(item)) for item in page["Items"])

    def written_since(self, connection_id: str, moment: datetime) -> list[tuple[Alert, str | None]]:
        """A connection's alerts since then, each with what its row remembers, the newest first, by the index `by_time`.

        One that cannot be read (another release wrote it) is logged and left out.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="by_time",
            KeyConditionExpression="connection_id = :connection_id AND created_at >= :moment",
            ExpressionAttributeValues=to_item({":connection_id": connection_id, ":moment": moment.isoformat()}),
            ProjectionExpression="connection_id, alert_id",
        )
        keys = [_key(from_item(item))._asdict() for page in pages for item in page["Items"]]
        rows = sorted(batch_get(self._client, self._name, keys), key=lambda row: str(row["created_at"]), reverse=True)
        return [(alert, row.get("memory")) for row in rows if (alert := _read(row))]

    def claim(self, key: AlertKey, *, owner: str) -> bool:
        """Reserve the alert for this owner, and count the attempt; False if it was sent or another one holds it."""
        now = clock.now()
        return self._update(
            key,
            "SET claimed_until = :until, claimed_by = :owner ADD attempts :one",
            condition="#state = :pending AND "
            "(attribute_not_exists(claimed_until) OR claimed_until <= :now OR claimed_by = :owner)",
            values={
                ":until": int((now + CLAIM).timestamp()),
                ":now": int(now.timestamp()),
                ":owner": owner,
                ":one": 1,
                ":pending": PENDING,
            },
        )

    def release(self, key: AlertKey, *, owner: str) -> None:
        """Give up the owner's claim of an alert that was not sent; anybody else's stays."""
        self._update(
            key,
            "REMOVE claimed_until, claimed_by",
            condition="#state = :pending AND claimed_by = :owner",
            values={":pending": PENDING, ":owner": owner},
        )

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """Record that SNS accepted the alert's message; from now on the row may expire."""
        now = clock.now()
        self._update(
            key,
            "SET #state = :sent, sent_at = :now, message_id = :message_id, expires_at = :expires_at "
            "REMOVE pending, claimed_until, claimed_by",
            condition="attribute_exists(alert_id)",
            values={
                ":sent": SENT,
                ":now": now.isoformat(),
                ":message_id": message_id,
                ":expires_at": int((now + KEPT_AFTER_SENT).timestamp()),
            },
        )

    def _update(self, key: AlertKey, update: str, *, condition: str, values: dict[str, Any]) -> bool:
        names = {"#state": "state"} if "#state" in update + condition else {}
        try:
            self._client.update_item(
                TableName=self._name,
                Key=to_item(key._asdict()),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                **({"ExpressionAttributeNames": names} if names else {}),  # type: ignore[arg-type]
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _key(row: Mapping[str, Any]) -> AlertKey:
    return AlertKey(row["connection_id"], row["alert_id"])


def _read(row: dict[str, Any]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError as error:
        logger.error("an alert cannot be read", extra={"alert_id": row["alert_id"], "flaws": describe_flaws(error)})
        return None
