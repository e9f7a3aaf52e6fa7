"""What is known of the topics' subscriptions: one row of ConnectionTable, beside those of the shops."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderwatch.alerts.alert import Alert
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.dynamodb import Transactions, Unit, from_item, put_action, to_item
from orderwatch.publishing.audience import Audience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = {"connection_id": "#topics"}
"""No shop has it: the name of a parameter holds no `#`."""


class AudienceRow:
    """The row, and the alerts that are written with it.

    Args:
        client: DynamoDB.
        table_name: ConnectionTable.
        alerts: The outbox.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, alerts: AlertTable) -> None:
        self._client = client
        self._table_name = table_name
        self._alerts = alerts

    def load(self) -> Audience:
        """The row, consistent; a new one where there is none."""
        answer = self._client.get_item(TableName=self._table_name, Key=to_item(KEY), ConsistentRead=True)
        return Audience.model_validate_json(from_item(answer["Item"])["audience"]) if "Item" in answer else Audience()

    def save(self, audience: Audience, *, alerts: Sequence[Alert]) -> Audience | None:
        """Save the row and put the alerts, in one transaction; None where another process saved first."""
        saved = audience.model_copy(update={"revision": audience.revision + 1})
        row = {**KEY, "revision": saved.revision, "audience": saved.model_dump_json()}
        first = audience.revision == 0
        condition = "attribute_not_exists(connection_id)" if first else "revision = :revision"
        put = put_action(
            self._table_name, row, condition=condition, values={} if first else {":revision": audience.revision}
        )
        unit = Unit(KEY["connection_id"], (put, *(self._alerts.put_action(alert) for alert in alerts)))
        return None if Transactions(self._client).write([unit]) else saved
