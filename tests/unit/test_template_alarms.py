"""The alarms and the dashboard: what has an alarm, who hears of it, and that every metric is emitted."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.alarm_math import Value, periods_in_alarm
from tests.support.template import ROOT, load_template, of_type

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = of_type("AWS::CloudWatch::Alarm")
FUNCTIONS = of_type("AWS::Serverless::Function")
SCHEDULED = {name for name, function in FUNCTIONS.items() if "EventInvokeConfig" in function}
SOURCES = [*(ROOT / "layers/orderwatch/python/orderwatch").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
SOURCE = "\n".join(path.read_text() for path in SOURCES)
REDRIVE_EVERY = 15 * 60
AWS_METRICS = {
    "AWS/SQS": {
        *("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"),
        *("NumberOfMessagesSent", "NumberOfMessagesDeleted"),
    },
    "AWS/Lambda": {"IteratorAge", "Invocations", "Errors", "Throttles"},
    "AWS/SNS": {"NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
}


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm with their periods: its own, or those of its expression."""
    if "Metrics" not in alarm:
        return [alarm]
    parts = [each.get("Fn::If", [None, each])[1] for each in alarm["Metrics"]]
    found = [each["MetricStat"] for each in parts if "MetricStat" in each]
    return [{**each["Metric"], "Period": each["Period"]} for each in found]


METRICS = {name: metrics_of(alarm) for name, alarm in ALARMS.items()}


def watched() -> dict[str, dict[str, set[str]]]:
    """The alarms on each metric, with the resources that they watch."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for alarm, metrics in METRICS.items():
        for metric in metrics:
            [value] = metric["Dimensions"][0]["Value"].values()
            found[metric["MetricName"]][alarm].add(value.partition(".")[0])
    return found


WATCHED = watched()


def needed(alarm: dict[str, Any]) -> Any:
    """How many of the latest periods must be breaching; all of them by default."""
    return alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])


def test_every_alarm_notifies_operators_when_it_begins() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [{"Ref": "OpsTopic"}], name
        assert alarm["AlarmDescription"].endswith(f" (docs/operations.md, {name})"), "the remedy"


def test_only_the_end_of_an_outage_is_notified_and_no_new_alarm() -> None:
    """A new alarm has no data, and its first state runs the actions of that state (AWS::CloudWatch::Alarm)."""
    ending = {name: alarm for name, alarm in ALARMS.items() if "OKActions" in alarm}
    assert ending.keys() == {"NoPollsAlarm"}
    assert ending["NoPollsAlarm"]["OKActions"] == [{"Ref": "OpsTopic"}]
    assert ending["NoPollsAlarm"]["TreatMissingData"] == "breaching", "without data it is in alarm, not OK"
    assert [name for name, alarm in ALARMS.items() if "InsufficientDataActions" in alarm] == []


@pytest.mark.parametrize("name", ALARMS)
def test_the_metric_of_an_alarm_is_emitted(name: str) -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    for metric in METRICS[name]:
        if metric["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]:
            assert f'"{metric["MetricName"]}"' in SOURCE
            service = {"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}
            assert metric["Dimensions"] == [service], "two stacks of one account must not share alarms"
            assert service["Value"] == {"Ref": "AWS::StackName"}
        else:
            assert metric["MetricName"] in AWS_METRICS[metric["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_within_the_limits_of_cloudwatch(name: str) -> None:
    periods = ALARMS[name]["EvaluationPeriods"]
    longest = TEMPLATE["Parameters"]["StalledAfterMinutes"]["MaxValue"] if isinstance(periods, dict) else periods
    assert {metric["Period"] * longest <= 24 * 3600 for metric in METRICS[name]} == {True}
    assert needed(ALARMS[name]) == periods or needed(ALARMS[name]) <= periods
    assert len(METRICS[name]) <= 10, "a metric math alarm"


# What has an alarm


def test_every_dead_letter_queue_has_an_alarm() -> None:
    queues = {name for name in of_type("AWS::SQS::Queue") if re.search("Letter|Fail", name)}
    of_queues = WATCHED["ApproximateNumberOfMessagesVisible"]
    assert set.union(*of_queues.values()) == queues
    # SQS stops reporting a queue that is idle for six hours, even if it has messages.
    assert {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "ignore"} == {"SlackDeadLetterAlarm"}


GROWING = ["PollDeadLetterAlarm", "StreamFailureAlarm", "ScheduleDeadLetterAlarm"]
"""Alarms of queues whose messages nobody has to move: other functions do their work."""


@pytest.mark.parametrize(
    ("messages", "in_alarm", "reason"),
    [
        ([0, 0, 1, 1, 1, 1, 1], [2, 3, 4], "it ends although the message stays"),
        ([0, 1, 1, 2, 2, 2, 2], [1, 2, 3, 4, 5], "it lasts while the queue grows"),
        ([None, None, 1, 1, 1, 1, 1], [2, 3, 4], "an idle queue is not reported before its first message"),
        ([5, 5, None, None, None, 5], [5], "an idle queue that is read is reported again, as documented"),
        ([5, 5, 0, 0, 0], [], "a purge"),
        ([500, 500, 499, 499, 498], [], "messages that expire"),
    ],
)
@pytest.mark.parametrize("name", GROWING)
def test_an_alarm_is_about_new_dead_letters(name: str, messages: list[Value], in_alarm: list[int], reason: str) -> None:
    assert periods_in_alarm(ALARMS[name], {"messages": messages}) == in_alarm, reason


def test_every_topic_that_cannot_deliver_has_an_alarm() -> None:
    topics = of_type("AWS::SNS::Topic")
    assert WATCHED["NumberOfNotificationsFailed"] == {f"{topic}FailingAlarm": {topic} for topic in topics}


@pytest.mark.parametrize(
    ("metric", "functions"),
    [("Errors", {*FUNCTIONS} - {"SendSummaryFunction"}), ("Throttles", {*FUNCTIONS} - SCHEDULED)],
)
def test_one_alarm_covers_functions_without_a_dead_letter_queue(metric: str, functions: set[str]) -> None:
    [(name, of_functions)] = WATCHED[metric].items()
    assert of_functions == functions
    optional = [each["Fn::If"] for each in ALARMS[name]["Metrics"] if "Fn::If" in each]
    assert {(condition, hidden["Id"].partition("_")[0]) for condition, hidden, _ in optional} <= {
        *(("HasSlack", "slack"), ("HasSlack", "post"), ("HasActionLinks", "action"), ("HasActionLinks", "handle"))
    }


def test_throttles_of_all_functions_add_up() -> None:
    [shown] = [each for each in ALARMS["FunctionThrottlesAlarm"]["Metrics"] if "Expression" in each]
    assert shown["Expression"] == "SUM(FILL(METRICS(), 0))", "a function that never ran must not hide another"


HOUR = 12
"""Periods of five minutes."""
POLLS_OF_500_SHOPS = [225.0] * HOUR
ONCE, THRICE = [0.0] * 11 + [1.0], [1.0, 0.0, 0.0] * 3 + [0.0] * 3


@pytest.mark.parametrize(
    ("metrics", "is_on"),
    [
        ({"polls": POLLS_OF_500_SHOPS, "poll_errors": [1.0] * HOUR}, False),  # half a percent, always
        ({"polls": POLLS_OF_500_SHOPS, "poll_errors": [12.0] * HOUR}, True),  # more than one in twenty
        ({"polls": [1.0] * HOUR, "poll_errors": ONCE}, False),
        ({"polls": [1.0] * HOUR, "poll_errors": THRICE}, True),  # a small stack, as before
        ({"publishes": [1.0, None, None] * 4, "publish_errors": [1.0, None, None] * 4}, True),
        ({"slack_posts": [100.0] * HOUR, "slack_errors": THRICE}, False),
        ({"slack_posts": [1.0] * HOUR, "slack_errors": THRICE}, True),
        ({"redrive_errors": [1.0, None, None] * 4}, True),
        ({"dispatch_errors": ONCE}, False),
        ({"dispatch_errors": THRICE}, True),
        ({"dispatch_errors": THRICE, "polls": POLLS_OF_500_SHOPS, "poll_errors": [0.0] * HOUR}, True),
    ],
)
def test_errors_count_as_a_share_of_what_grows_with_the_shops(metrics: dict[str, list[Value]], is_on: bool) -> None:
    assert (HOUR - 1 in periods_in_alarm(ALARMS["FunctionErrorsAlarm"], metrics)) is is_on


def test_alerts_that_redrive_had_to_send_raise_an_alarm() -> None:
    assert WATCHED["AlertsRedriven"] == {"AlertsRedrivenAlarm": {"AWS::StackName"}}


ABOVE = {"IteratorAge": 600_000, "SlackMessageAge": 900, "ApproximateAgeOfOldestMessage": 900}
"""Milliseconds or seconds above which a delay raises an alarm."""
FAILURES = {"AlertsUnsentAlarm": 2, "FunctionErrorsAlarm": 3, "FunctionThrottlesAlarm": 3}
"""How often something fails that is fixed by its retry; other failures raise an alarm at once (docs/operations.md)."""


@pytest.mark.parametrize("name", sorted(ALARMS.keys() - {"NoPollsAlarm", "NoRedriveAlarm"}))
def test_an_alarm_goes_off_as_soon_as_documented(name: str) -> None:
    alarm = ALARMS[name]
    metric = METRICS[name][0]["MetricName"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", ABOVE.get(metric, 0))
    assert needed(alarm) == FAILURES.get(name, 1)


# Inactivity


def test_missing_data_raises_only_alarms_about_inactivity() -> None:
    breaching = {name: alarm for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "breaching"}
    assert breaching.keys() == {"NoPollsAlarm", "NoRedriveAlarm"}
    assert {alarm["TreatMissingData"] for alarm in ALARMS.values()} == {"breaching", "ignore", "notBreaching"}
    for alarm in breaching.values():
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    polls = breaching["NoPollsAlarm"]
    assert (polls["MetricName"], polls["Period"]) == ("PollsFinished", 60)
    assert polls["EvaluationPeriods"] == needed(polls) == {"Ref": "StalledAfterMinutes"}


def test_no_run_of_redrive_alerts_raises_its_alarm() -> None:
    alarm = ALARMS["NoRedriveAlarm"]
    [shown, hidden] = alarm["Metrics"]
    # For a missing point, CloudWatch would use older values. A filled point is a value.
    assert (shown["Expression"], shown.get("ReturnData")) == (f"FILL({hidden['Id']}, 0)", None)
    assert WATCHED["Invocations"]["NoRedriveAlarm"] == {"RedriveAlertsFunction"}
    assert alarm["EvaluationPeriods"] == 1


def test_one_late_run_of_redrive_alerts_begins_and_ends_no_alarm() -> None:
    schedule = FUNCTIONS["RedriveAlertsFunction"]["Events"]["RedriveSchedule"]["Properties"]
    assert schedule["ScheduleExpression"] == f"rate({REDRIVE_EVERY // 60} minutes)"
    for name in ("NoRedriveAlarm", "AlertsOverdueAlarm", "AlertsRedrivenAlarm", "TopicSubscribersAlarm"):
        [metric] = METRICS[name]
        assert metric["Period"] * ALARMS[name]["EvaluationPeriods"] == 2 * REDRIVE_EVERY, name


# The dashboard


def widgets() -> list[dict[str, Any]]:
    text, _ = RESOURCES["StackDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def graphed() -> Iterator[tuple[str, str]]:
    """Namespace and name of each metric on the dashboard."""
    for widget in widgets():
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], dict):
                [name] = re.findall(r'MetricName="(\w+)"', metric[0]["expression"])
                yield "orderwatch", name
            else:
                yield metric[0], metric[1]
                assert metric[0] in AWS_METRICS or metric[2:4] == ["service", "${AWS::StackName}"]


def test_the_dashboard_shows_emitted_metrics() -> None:
    for namespace, name in graphed():
        assert name in AWS_METRICS[namespace] if namespace in AWS_METRICS else f'"{name}"' in SOURCE, name


def test_the_dashboard_queries_logged_figures() -> None:
    """A metric costs while it is sent, a logged figure only when it is queried."""
    queries = [widget["properties"]["query"] for widget in widgets() if widget["type"] == "log"]
    for query in queries:
        assert query.startswith("SOURCE '${PollOrdersLogGroup}' | filter message = 'poll ended'")
        assert all(f'"{name}"' in SOURCE for name in re.findall(r"\((\w+)\) as", query))


def test_the_dashboard_is_optional_and_its_widgets_do_not_overlap() -> None:
    assert RESOURCES["StackDashboard"]["Condition"] == "HasDashboard"
    places = [(widget["x"], widget["y"]) for widget in widgets()]
    assert sorted(set(places)) == sorted(places)
    assert all(x in {0, 12} and y % 6 == 0 for x, y in places)
