"""The logger and the metrics, shared by every function: the only objects that are built at import.

Their `service` is the stack's name (`POWERTOOLS_SERVICE_NAME`), so that two stacks of one account stay apart. It is the
only dimension of a metric, except in `count_by`: the id of an order, a connection or an alert is never one.
"""

import logging
from collections.abc import Mapping

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "orderwatch"
TOO_MANY_REQUESTS = 429

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)

# They log every URL at INFO, and Slack's is a secret.
for _chatty in ("httpx", "httpcore", "botocore", "urllib3", "slack_sdk"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


def count_by(name: str, dimension: str, counts: Mapping[str, int]) -> None:
    """Count one metric for each value of a further dimension; only for values that the template bounds."""
    for value, count in counts.items():
        service = {"service": metrics.service or NAMESPACE}
        with single_metric(name, MetricUnit.Count, count, namespace=NAMESPACE, default_dimensions=service) as metric:
            metric.add_dimension(dimension, value)


def count_answer(status: int) -> None:
    """Count an answer of Trackstar's API, and whether it was "too many requests"."""
    metrics.add_metric("TrackstarRequests", MetricUnit.Count, 1)
    metrics.add_metric("TrackstarThrottled", MetricUnit.Count, int(status == TOO_MANY_REQUESTS))
