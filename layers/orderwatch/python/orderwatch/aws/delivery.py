"""What every sender of alerts needs of AWS: the ledger and both topics."""

from dataclasses import dataclass

import boto3

from orderwatch import clock
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.alert_topic import AlertTopic
from orderwatch.settings import RedriveAlertsSettings


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


def build_delivery(settings: RedriveAlertsSettings) -> Delivery:
    """Build the clients of DynamoDB and SNS; call it once a process."""
    sns = boto3.client("sns")
    return Delivery(
        outbox=AlertTable(boto3.client("dynamodb"), settings.alert_table_name, clock=clock.now),
        topic=AlertTopic(sns, settings.alert_topic_arn),
        operators=AlertTopic(sns, settings.ops_topic_arn),
    )
