"""The alarms and the dashboard: recipients, and that every metric is emitted."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.template import ROOT, load_template

RESOURCES: dict[str, Any] = load_template()["Resources"]
ALARMS: dict[str, Any] = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
}
FUNCTIONS = sorted(name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function")
SCHEDULED = {name for name in FUNCTIONS if "EventInvokeConfig" in RESOURCES[name]["Properties"]}
SOURCES = [*(ROOT / "layers/orderwatch/python/orderwatch").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
VISIBLE = "ApproximateNumberOfMessagesVisible"
BY_STACK = [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
AWS_METRICS = {
    "AWS/SQS": {VISIBLE, "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesDeleted"},
    "AWS/Lambda": {"IteratorAge", "Invocations", "Errors", "Throttles"},
    "AWS/SNS": {"NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
}


def emitted(path: Path) -> Iterator[str]:
    """Names of the metrics that a module emits with `add_metric`, `count_by` or `count_nonzero`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr="add_metric"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name(id="count_by"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name(id="count_nonzero"), args=[ast.Dict() as counts]):
                yield from _keys(counts)
            case ast.Assign(targets=[ast.Name(id="signals")], value=ast.Dict() as counts):
                yield from _keys(counts)


def _keys(counts: ast.Dict) -> Iterator[str]:
    return (key.value for key in counts.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm with their periods: its own, or those of its expression."""
    if "Metrics" not in alarm:
        return [alarm]
    parts = [each.get("Fn::If", [None, each])[1] for each in alarm["Metrics"]]
    found = [each["MetricStat"] for each in parts if "MetricStat" in each]
    return [{**each["Metric"], "Period": each["Period"]} for each in found]


METRICS = {name: metrics_of(alarm) for name, alarm in ALARMS.items()}
EMITTED = {name for path in SOURCES for name in emitted(path)}


def alarms_on(metric: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The alarms on a metric, each with its metric definition."""
    for name, metrics in METRICS.items():
        yield from ((name, each) for each in metrics if each["MetricName"] == metric)


def widgets() -> list[dict[str, Any]]:
    text, _ = RESOURCES["StackDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def graphed() -> Iterator[list[Any]]:
    for widget in widgets():
        yield from widget["properties"].get("metrics", [])


def queries() -> Iterator[str]:
    return (widget["properties"]["query"] for widget in widgets() if widget["type"] == "log")


def test_every_alarm_notifies_operators_when_it_begins_and_ends() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "OpsTopic"}], name
        assert f"(docs/operations.md, {name})" in alarm["AlarmDescription"], name


def test_cloudwatch_may_publish_only_for_this_account() -> None:
    statements = RESOURCES["OpsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [allowed] = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == "sns:Publish"
    assert allowed["Resource"] == {"Ref": "OpsTopic"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("name", ALARMS)
def test_the_metric_of_an_alarm_is_emitted(name: str) -> None:
    for metric in METRICS[name]:
        if metric["Namespace"] == "orderwatch":
            assert metric["MetricName"] in EMITTED
            assert metric["Dimensions"] == BY_STACK, "two stacks of one account must not share alarms"
        else:
            assert metric["MetricName"] in AWS_METRICS[metric["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_within_the_limits_of_cloudwatch(name: str) -> None:
    alarm = ALARMS[name]
    periods = alarm["EvaluationPeriods"]
    longest = load_template()["Parameters"]["StalledAfterMinutes"]["MaxValue"] if isinstance(periods, dict) else periods
    assert {metric["Period"] * longest <= 24 * 3600 for metric in METRICS[name]} == {True}
    assert alarm["DatapointsToAlarm"] == periods or alarm["DatapointsToAlarm"] <= periods


def test_missing_data_raises_only_alarms_about_inactivity() -> None:
    alarming = {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "breaching"}
    assert alarming == {"NoPollsAlarm", "NoRedriveAlarm"}
    assert ALARMS["NoPollsAlarm"]["MetricName"] == "PollsFinished"
    assert ALARMS["NoPollsAlarm"]["EvaluationPeriods"] == {"Ref": "StalledAfterMinutes"}
    assert ALARMS["NoPollsAlarm"]["Period"] == 60
    redrive = RESOURCES["RedriveAlertsFunction"]["Properties"]["Events"]["RedriveSchedule"]["Properties"]
    assert redrive["ScheduleExpression"] == "rate(15 minutes)"
    [runs] = METRICS["NoRedriveAlarm"]
    assert runs["Period"] == 2 * 15 * 60, "one late run raises no alarm"
    [overdue] = METRICS["AlertsOverdueAlarm"]
    assert overdue["Period"] == 2 * 15 * 60, "one late run does not end the alarm"


def test_a_missing_custom_metric_is_healthy_except_polls() -> None:
    own = {name for name, metrics in METRICS.items() if metrics[0]["Namespace"] == "orderwatch"}
    assert {name for name in own if ALARMS[name]["TreatMissingData"] != "notBreaching"} == {"NoPollsAlarm"}


def test_no_run_of_redrive_alerts_raises_its_alarm() -> None:
    alarm = ALARMS["NoRedriveAlarm"]
    [shown] = [each for each in alarm["Metrics"] if each.get("ReturnData", True)]
    [hidden] = [each for each in alarm["Metrics"] if not each.get("ReturnData", True)]
    # For a missing point, CloudWatch would use older values. A filled point is a value.
    assert shown["Expression"] == f"FILL({hidden['Id']}, 0)"
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Threshold"]) == (1, 1, 1)
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    [runs] = METRICS["NoRedriveAlarm"]
    assert runs["MetricName"] == "Invocations"
    assert runs["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "RedriveAlertsFunction"}}]


def test_an_idle_queue_keeps_the_state_of_its_alarm() -> None:
    """SQS stops reporting a queue that is idle for six hours, even if it has messages."""
    of_queues = {name for name, _ in alarms_on(VISIBLE)}
    assert of_queues
    assert {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "ignore"} == of_queues


def test_a_topic_that_cannot_deliver_has_an_alarm() -> None:
    failing = dict(alarms_on("NumberOfNotificationsFailed"))
    assert {name: metric["Dimensions"] for name, metric in failing.items()} == {
        f"{topic}FailingAlarm": [{"Name": "TopicName", "Value": {"Fn::GetAtt": f"{topic}.TopicName"}}]
        for topic in ("AlertTopic", "OpsTopic")
    }
    assert all((ALARMS[name]["Statistic"], ALARMS[name]["Threshold"]) == ("Sum", 0) for name in failing)


def test_every_dead_letter_queue_has_an_alarm() -> None:
    queues = {
        name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue" and "Letter" in name
    } | {"StreamFailureQueue"}
    watched = {
        metric["Dimensions"][0]["Value"]["Fn::GetAtt"].removesuffix(".QueueName") for _, metric in alarms_on(VISIBLE)
    }
    assert watched == queues


@pytest.mark.parametrize(
    ("metric", "watched"),
    [("Errors", {*FUNCTIONS} - {"SendSummaryFunction"}), ("Throttles", {*FUNCTIONS} - SCHEDULED)],
)
def test_one_alarm_covers_functions_without_a_dead_letter_queue(metric: str, watched: set[str]) -> None:
    [name] = {name for name, _ in alarms_on(metric)}
    assert {each["Dimensions"][0]["Value"]["Ref"] for _, each in alarms_on(metric)} == watched
    [shown] = [each for each in ALARMS[name]["Metrics"] if "Expression" in each]
    assert shown["Expression"] == "SUM(FILL(METRICS(), 0))", "a function that never ran must not hide another"
    hidden = [each["Fn::If"][:2] for each in ALARMS[name]["Metrics"] if "Fn::If" in each]
    assert [(condition, each["Id"]) for condition, each in hidden] == [("HasSlack", "post_to_slack")]


def test_a_failed_scheduled_invocation_reaches_the_dead_letters() -> None:
    assert {"DispatchPollsFunction", "RedriveAlertsFunction", "SendSummaryFunction"} == SCHEDULED
    for name in SCHEDULED:
        invoked = RESOURCES[name]["Properties"]["EventInvokeConfig"]
        assert invoked["MaximumEventAgeInSeconds"] <= 3600, f"{name}: longer throttling reaches the dead letters"
        assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}


def test_every_custom_failure_metric_has_an_alarm() -> None:
    own = {each["MetricName"] for metrics in METRICS.values() for each in metrics if each["Namespace"] == "orderwatch"}
    assert own == {
        *("PollsFinished", "AlertsOverdue", "AlertsUnsent", "MessagesFallback"),
        *("OrdersQuarantined", "FoundBySweep", "SlackMessageAge", "TopicsWithoutSubscribers"),
    }


def test_alarms_about_slack_exist_only_with_slack() -> None:
    for name in ALARMS:
        assert (RESOURCES[name].get("Condition") == "HasSlack") is ("Slack" in name), name


def test_the_dashboard_shows_emitted_metrics() -> None:
    for metric in graphed():
        if isinstance(metric[0], dict):
            [name] = re.findall(r'MetricName="(\w+)"', metric[0]["expression"])
            assert name in EMITTED
        elif metric[0] == "orderwatch":
            assert metric[1] in EMITTED
            assert metric[2:4] == ["service", "${AWS::StackName}"]
        else:
            assert metric[1] in AWS_METRICS[metric[0]]


def test_the_dashboard_covers_polls_alerts_and_delays() -> None:
    graphs = {str(metric) for metric in graphed()}
    for name in ("PollsFinished", "Transitions", "NumberOfNotificationsDelivered", "DeliveryDelay"):
        assert any(name in graph for graph in graphs), name
    for name in ("TrackstarThrottled", "AlertsOverdue"):
        assert any(name in graph for graph in graphs), name


def test_the_dashboard_queries_logged_figures() -> None:
    """A metric costs while it is sent, a logged figure only when it is queried."""
    source = (ROOT / "layers/orderwatch/python/orderwatch/polling/metrics.py").read_text()
    names = {name for query in queries() for name in re.findall(r"\((\w+)\) as", query)}
    assert {"SyncAge", "OrdersRead", "PagesRead"} <= names
    for name in names:
        assert f'"{name}"' in source
    for query in queries():
        assert query.startswith("SOURCE '${PollOrdersLogGroup}' | filter message = 'poll ended'")


def test_the_dashboard_is_optional() -> None:
    assert RESOURCES["StackDashboard"]["Condition"] == "HasDashboard"


def test_widgets_do_not_overlap() -> None:
    places = [(widget["x"], widget["y"]) for widget in widgets()]
    assert len(set(places)) == len(places)
    assert all(x in {0, 12} and y % 6 == 0 for x, y in places)
