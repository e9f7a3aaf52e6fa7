"""The logger and the metrics, shared by every function: the only objects that are built at import.

CloudWatch bills a metric for each hour in which it is sent: one that has nothing to tell is not sent, and its alarm
takes that for good. What is no signal is a figure in the log.

Their `service` is the stack's name (`POWERTOOLS_SERVICE_NAME`), so that two stacks of one account stay apart. It is the
only dimension of a metric, except in `count_by`: the id of an order, a connection or an alert is never one.
"""

import logging
from collections.abc import Mapping

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

NAMESPACE = "orderwatch"
TOO_MANY_REQUESTS = 429


class _SparseMetrics(AmazonCloudWatchEMFProvider):
    """Powertools warns of an invocation without metrics; here it is the rule."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


logger = Logger()
metrics = Metrics(provider=_SparseMetrics(namespace=NAMESPACE))

# They log every URL at INFO, and Slack's is a secret.
for _chatty in ("httpx", "httpcore", "botocore", "urllib3", "slack_sdk"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


def count_by(name: str, dimension: str, counts: Mapping[str, int]) -> None:
    """Count one metric for each value of a further dimension; only for values that the template bounds."""
    for value, count in counts.items():
        service = {"service": metrics.service or NAMESPACE}
        with single_metric(name, MetricUnit.Count, count, namespace=NAMESPACE, default_dimensions=service) as metric:
            metric.add_dimension(dimension, value)


def count_nonzero(counts: Mapping[str, int]) -> None:
    """Count what there is: a count of 0 is not sent."""
    for name, count in counts.items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)


def count_answer(status: int) -> None:
    """Count an answer of Trackstar's API that was "too many requests"."""
    count_nonzero({"TrackstarThrottled": int(status == TOO_MANY_REQUESTS)})
