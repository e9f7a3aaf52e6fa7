"""What AWS charges, and which part of a stack's bill each price belongs to.

As published for us-east-1 and known in November 2026; no free tier is taken off.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.support.template import load_template

SECONDS = {"DynamoDB": 0.010, "SNS": 0.030, "SSM": 0.020, "SQS": 0.020, "Trackstar": 0.300}
"""Assumed for every request, until its answer is there."""
DAYS_A_MONTH = 30
HOURS_A_DAY = 24
PRICES = {
    "DynamoDB writes": 0.625e-6,
    "DynamoDB reads": 0.125e-6,
    "MB-milliseconds": 13.3334e-6 / 1024 / 1000,
    "invocations": 0.2e-6,
    "SQS requests": 0.5e-6,
    "KMS requests": 3e-6,
    "parameters": 5e-6,
    "Scheduler": 1e-6,
    "SNS publishes": 0.5e-6,
    "SNS e-mails": 20e-6,
    "log bytes": 0.5e-9,
}
"""US dollars a unit: arm64, DynamoDB on demand, FIFO queues, one subscriber by e-mail. A parameter that is read costs
only with higher throughput; with standard throughput it is free."""
PARTS = {
    "DynamoDB": ("DynamoDB writes", "DynamoDB reads"),
    "Lambda": ("MB-milliseconds", "invocations"),
    "SQS": ("SQS requests",),
    "KMS": ("KMS requests",),
    "Scheduler": ("Scheduler",),
    "SNS": ("SNS publishes", "SNS e-mails"),
    "logs": ("log bytes",),
}
ALARM, METRIC, DASHBOARD = 0.10, 0.30, 3.00
"""US dollars a month: for each metric that an alarm looks at, for each custom metric that is sent in every hour of the
month (it is charged by the hours in which it is sent), and for the dashboard."""
CORE = 1769
"""Megabytes of a function that has one whole core (AWS's documentation of Lambda's memory)."""


def used_parts(day: Mapping[str, float]) -> Counter[str]:
    """What a day's units cost in a month, in US dollars, by the part of the bill."""
    return Counter(
        {part: DAYS_A_MONTH * sum(PRICES[unit] * day.get(unit, 0) for unit in PARTS[part]) for part in PARTS}
    )


def standing_parts(metric_hours: Mapping[str, int], *, shops: int) -> Counter[str]:
    """What the alarms, the dashboard and the metrics of a stack without Slack cost in a month, in US dollars.

    Args:
        metric_hours: In how many hours of a day one shop sends each metric.
        shops: How many there are; their hours are taken to be independent.
    """
    resources = [each for each in load_template()["Resources"].values() if each.get("Condition") != "HasSlack"]
    alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    sent = sum(1 - (1 - hours / HOURS_A_DAY) ** shops for hours in metric_hours.values())
    return Counter({"metrics": METRIC * sent, "alarms": ALARM * sum(map(_metrics_of, alarms)), "dashboard": DASHBOARD})


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    """How many metrics an alarm looks at where there is no Slack."""
    return sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1


def billed(waited: float, processor: float, *, megabytes: int) -> int:
    """The megabyte-milliseconds of an invocation, by its seconds of waiting and those of one whole core."""
    return megabytes * math.ceil(1000 * (waited + processor * CORE / megabytes))
