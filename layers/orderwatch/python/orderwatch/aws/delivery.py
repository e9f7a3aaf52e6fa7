"""What every sender of alerts needs of AWS: the ledger, and both topics at their shared pace."""

from dataclasses import dataclass

from orderwatch.aws import clients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.alert_topic import AlertTopic
from orderwatch.aws.pace import TOPIC_LIMIT, SharedPace
from orderwatch.settings import SenderSettings


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way of an alert out of AWS.

    Attributes:
        outbox: AlertTable.
        topic: AlertTopic.
        operators: OpsTopic.
    """

    outbox: AlertTable
    topic: AlertTopic
    operators: AlertTopic


def build_delivery(settings: SenderSettings) -> Delivery:
    """Build the clients of DynamoDB and SNS; call it once a process."""
    dynamodb, sns = clients.dynamodb(), clients.sns()

    def topic(arn: str) -> AlertTopic:
        return AlertTopic(sns, arn, pace=SharedPace(dynamodb, settings.pace_table_name, arn, TOPIC_LIMIT))

    return Delivery(
        outbox=AlertTable(dynamodb, settings.alert_table_name),
        topic=topic(settings.alert_topic_arn),
        operators=topic(settings.ops_topic_arn),
    )
