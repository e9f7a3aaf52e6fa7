"""The logger and the metrics, shared by every function: the only objects that are built at import."""

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="orderwatch")
metrics = Metrics(namespace="orderwatch", service="orderwatch")
