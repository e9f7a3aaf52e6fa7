"""Cloud resources for one process: the template's tables, and a queue behind the topic."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3

from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.poll_store import PollStore
from orderwatch.aws.sns import AlertTopic
from orderwatch.aws.summary_store import SummaryStore
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.template import load_template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLES = ("OrderTable", "ConnectionTable", "AlertTable", "PaceTable")
CREATED_BY = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "StreamSpecification")


@dataclass(frozen=True)
class Tables:
    """The tables, under names of their own."""

    client: "DynamoDBClient"
    names: dict[str, str]

    @classmethod
    def in_memory(cls) -> "Tables":
        """Empty tables in memory."""
        return cls.over(MemoryDynamoDB())

    @classmethod
    def over(cls, memory: MemoryDynamoDB) -> "Tables":
        """Empty tables in this memory."""
        client = memory.as_client()
        return cls(client, _created(client))

    def through(self, client: "DynamoDBClient") -> "Tables":
        """The same tables over another client."""
        return replace(self, client=client)

    @property
    def orders(self) -> OrderTable:
        return OrderTable(self.client, self.names["OrderTable"])

    @property
    def connections(self) -> ConnectionTable:
        return ConnectionTable(self.client, self.names["ConnectionTable"])

    @property
    def alerts(self) -> AlertTable:
        return AlertTable(self.client, self.names["AlertTable"])

    @property
    def store(self) -> PollStore:
        return PollStore(self.client, orders=self.orders, connections=self.connections, alerts=self.alerts)

    @property
    def summaries(self) -> SummaryStore:
        return SummaryStore(orders=self.orders, connections=self.connections, alerts=self.alerts)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, in DynamoDB's notation."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.names[table])
        return [dict(item) for page in pages for item in page["Items"]]

    def alert_keys(self) -> list[AlertKey]:
        return [AlertKey(row["connection_id"]["S"], row["alert_id"]["S"]) for row in self.rows("AlertTable")]

    def alert_ids(self) -> list[str]:
        return [key.alert_id for key in self.alert_keys()]

    def all_alerts(self) -> list[Alert]:
        """Every alert that was ever written, in the order of writing as far as the client keeps it."""
        return [Alert.model_validate_json(row["alert"]["S"]) for row in self.rows("AlertTable")]


def create_tables(client: "DynamoDBClient") -> Iterator[Tables]:
    """Create the template's tables, and delete them at the end."""
    tables = Tables(client, _created(client))
    yield tables
    for name in tables.names.values():
        client.delete_table(TableName=name)


def _created(client: "DynamoDBClient") -> dict[str, str]:
    resources = load_template()["Resources"]
    names = {table: f"{table}-{uuid.uuid4().hex[:8]}" for table in TABLES}
    for table, name in names.items():
        properties = resources[table]["Properties"]
        definition = {key: value for key, value in properties.items() if key in CREATED_BY}
        if "StreamSpecification" in definition:
            definition["StreamSpecification"] = {
                "StreamEnabled": True,
                **definition["StreamSpecification"],
            }
        client.create_table(TableName=name, **definition)
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return names


@dataclass(frozen=True)
class Inbox:
    """A queue that is subscribed to a topic and gets the machines' JSON."""

    topic_arn: str
    queue_url: str

    @classmethod
    def subscribed(cls) -> "Inbox":
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        topic_arn = sns.create_topic(Name="alerts")["TopicArn"]
        queue_url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
        return cls(topic_arn, queue_url)

    @property
    def topic(self) -> AlertTopic:
        return AlertTopic(boto3.client("sns"), self.topic_arn)

    def receive(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        sqs, taken = boto3.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                taken.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return taken
