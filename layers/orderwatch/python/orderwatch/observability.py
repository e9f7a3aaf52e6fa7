"""The logger and the metrics of every function: the only objects that are built at import.

CloudWatch bills each metric for every hour in which it is sent. So a count of 0 is not sent, and alarms treat missing
data as healthy. Figures without an alarm are only logged.

The only dimension of a metric, except in `count_by`, is `service`: the name of the stack (`POWERTOOLS_SERVICE_NAME`).
The id of an order, a connection or an alert is never a dimension.
"""

import logging
from collections.abc import Mapping

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

NAMESPACE = "orderwatch"
TOO_MANY_REQUESTS = 429


class _SparseMetrics(AmazonCloudWatchEMFProvider):
    """Metrics that do not warn about an invocation without any, which is normal here."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


logger = Logger()
metrics = Metrics(provider=_SparseMetrics(namespace=NAMESPACE))

# These libraries log URLs at INFO, and the URL of the Slack webhook is a secret.
for _library in ("httpx", "httpcore", "botocore", "urllib3", "slack_sdk"):
    logging.getLogger(_library).setLevel(logging.WARNING)


def count_by(name: str, dimension: str, counts: Mapping[str, int]) -> None:
    """Send one metric for each value of a second dimension; only for values whose number the template limits."""
    for value, count in counts.items():
        service = {"service": metrics.service or NAMESPACE}
        with single_metric(name, MetricUnit.Count, count, namespace=NAMESPACE, default_dimensions=service) as metric:
            metric.add_dimension(dimension, value)


def count_nonzero(counts: Mapping[str, int]) -> None:
    """Send the counts that are not 0."""
    for name, count in counts.items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)


def count_response(status: int) -> None:
    """Count a response of Trackstar if it is 429."""
    count_nonzero({"TrackstarThrottled": int(status == TOO_MANY_REQUESTS)})
