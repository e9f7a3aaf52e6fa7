"""The alarms and the dashboard: to whom they speak, and that what they look at is really emitted."""

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
BY_SCHEDULE = {name for name in FUNCTIONS if "EventInvokeConfig" in RESOURCES[name]["Properties"]}
SOURCES = [*(ROOT / "layers/orderwatch/python/orderwatch").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
VISIBLE = "ApproximateNumberOfMessagesVisible"
BY_STACK = [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
AWS_METRICS = {
    "AWS/SQS": {VISIBLE, "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesDeleted"},
    "AWS/Lambda": {"IteratorAge", "Invocations", "Errors", "Throttles"},
    "AWS/SNS": {"NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
}


def emitted(path: Path) -> Iterator[str]:
    """The names of the metrics that a module emits: given to `add_metric`, `count_by` or `count_nonzero`."""
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
    """The metrics that an alarm looks at, each with its period: its own, or those of its expression."""
    if "Metrics" not in alarm:
        return [alarm]
    parts = [each.get("Fn::If", [None, each])[1] for each in alarm["Metrics"]]
    found = [each["MetricStat"] for each in parts if "MetricStat" in each]
    return [{**each["Metric"], "Period": each["Period"]} for each in found]


METRICS = {name: metrics_of(alarm) for name, alarm in ALARMS.items()}
EMITTED = {name for path in SOURCES for name in emitted(path)}


def looking_at(metric: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The alarms that look at a metric, each with what it says of it."""
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


def test_every_alarm_tells_the_operators_of_its_beginning_and_of_its_end() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "OpsTopic"}], name
        assert f"(docs/operations.md, {name})" in alarm["AlarmDescription"], name


def test_cloudwatch_may_publish_to_the_operators_topic_for_this_account_alone() -> None:
    statements = RESOURCES["OpsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [allowed] = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == "sns:Publish"
    assert allowed["Resource"] == {"Ref": "OpsTopic"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_at_a_metric_that_exists(name: str) -> None:
    for metric in METRICS[name]:
        if metric["Namespace"] == "orderwatch":
            assert metric["MetricName"] in EMITTED
            assert metric["Dimensions"] == BY_STACK, "two stacks of one account must not hear each other's alarms"
        else:
            assert metric["MetricName"] in AWS_METRICS[metric["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_one_that_cloudwatch_takes(name: str) -> None:
    alarm = ALARMS[name]
    periods = alarm["EvaluationPeriods"]
    longest = load_template()["Parameters"]["StalledAfterMinutes"]["MaxValue"] if isinstance(periods, dict) else periods
    assert {metric["Period"] * longest <= 24 * 3600 for metric in METRICS[name]} == {True}
    assert alarm["DatapointsToAlarm"] == periods or alarm["DatapointsToAlarm"] <= periods


def test_only_where_silence_is_the_trouble_missing_data_raises_the_alarm() -> None:
    silent = {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "breaching"}
    assert silent == {"NoPollsAlarm", "NoRedriveAlarm"}
    assert ALARMS["NoPollsAlarm"]["MetricName"] == "PollsFinished"
    assert ALARMS["NoPollsAlarm"]["EvaluationPeriods"] == {"Ref": "StalledAfterMinutes"}
    assert ALARMS["NoPollsAlarm"]["Period"] == 60
    redrive = RESOURCES["RedriveAlertsFunction"]["Properties"]["Events"]["RedriveSchedule"]["Properties"]
    assert redrive["ScheduleExpression"] == "rate(15 minutes)"
    [runs] = METRICS["NoRedriveAlarm"]
    assert runs["Period"] == 2 * 15 * 60, "one late tick is no silence"
    [overdue] = METRICS["AlertsOverdueAlarm"]
    assert overdue["Period"] == 2 * 15 * 60, "one late tick is no end"


def test_a_metric_of_our_own_that_is_not_sent_is_good_news_but_for_finished_polls() -> None:
    own = {name for name, metrics in METRICS.items() if metrics[0]["Namespace"] == "orderwatch"}
    assert {name for name in own if ALARMS[name]["TreatMissingData"] != "notBreaching"} == {"NoPollsAlarm"}


def test_half_an_hour_without_a_run_of_redrive_alerts_is_a_value_below_the_threshold() -> None:
    alarm = ALARMS["NoRedriveAlarm"]
    [shown] = [each for each in alarm["Metrics"] if each.get("ReturnData", True)]
    [hidden] = [each for each in alarm["Metrics"] if not each.get("ReturnData", True)]
    # A missing point is no value to CloudWatch, which goes back for older ones; a filled one is.
    assert shown["Expression"] == f"FILL({hidden['Id']}, 0)"
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Threshold"]) == (1, 1, 1)
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    [runs] = METRICS["NoRedriveAlarm"]
    assert runs["MetricName"] == "Invocations"
    assert runs["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "RedriveAlertsFunction"}}]


def test_a_queue_that_sqs_reports_no_more_keeps_its_alarm_as_it_is() -> None:
    """SQS stops its metrics after six hours in which nobody touches the queue, whatever lies in it."""
    of_queues = {name for name, _ in looking_at(VISIBLE)}
    assert of_queues
    assert {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "ignore"} == of_queues


def test_a_topic_that_cannot_deliver_has_its_alarm() -> None:
    failing = dict(looking_at("NumberOfNotificationsFailed"))
    assert {name: metric["Dimensions"] for name, metric in failing.items()} == {
        f"{topic}FailingAlarm": [{"Name": "TopicName", "Value": {"Fn::GetAtt": f"{topic}.TopicName"}}]
        for topic in ("AlertTopic", "OpsTopic")
    }
    assert all((ALARMS[name]["Statistic"], ALARMS[name]["Threshold"]) == ("Sum", 0) for name in failing)


def test_every_queue_of_dead_letters_has_its_alarm() -> None:
    queues = {
        name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue" and "Letter" in name
    } | {"StreamFailureQueue"}
    watched = {
        metric["Dimensions"][0]["Value"]["Fn::GetAtt"].removesuffix(".QueueName") for _, metric in looking_at(VISIBLE)
    }
    assert watched == queues


@pytest.mark.parametrize(
    ("metric", "watched"),
    [("Errors", {*FUNCTIONS} - {"SendSummaryFunction"}), ("Throttles", {*FUNCTIONS} - BY_SCHEDULE)],
)
def test_one_alarm_watches_every_function_whose_failure_reaches_no_queue(metric: str, watched: set[str]) -> None:
    [name] = {name for name, _ in looking_at(metric)}
    assert {each["Dimensions"][0]["Value"]["Ref"] for _, each in looking_at(metric)} == watched
    [shown] = [each for each in ALARMS[name]["Metrics"] if "Expression" in each]
    assert shown["Expression"] == "SUM(FILL(METRICS(), 0))", "one function that was never called hides no other"
    hidden = [each["Fn::If"][:2] for each in ALARMS[name]["Metrics"] if "Fn::If" in each]
    assert [(condition, each["Id"]) for condition, each in hidden] == [("HasSlack", "post_to_slack")]


def test_a_tick_that_comes_to_nothing_by_errors_or_for_want_of_room_reaches_the_queue_that_alarms() -> None:
    assert {"DispatchPollsFunction", "RedriveAlertsFunction", "SendSummaryFunction"} == BY_SCHEDULE
    for name in BY_SCHEDULE:
        invoked = RESOURCES[name]["Properties"]["EventInvokeConfig"]
        assert invoked["MaximumEventAgeInSeconds"] <= 3600, f"{name}: throttled for longer, it is told of"
        assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}


def test_what_the_issue_of_an_alert_can_suffer_has_an_alarm() -> None:
    own = {each["MetricName"] for metrics in METRICS.values() for each in metrics if each["Namespace"] == "orderwatch"}
    assert own == {
        *("PollsFinished", "AlertsOverdue", "AlertsUnsent", "MessagesFallback"),
        *("OrdersQuarantined", "FoundBySweep", "SlackMessageAge", "TopicsWithoutSubscribers"),
    }


def test_alarms_about_slack_exist_only_where_slack_does() -> None:
    for name in ALARMS:
        assert (RESOURCES[name].get("Condition") == "HasSlack") is ("Slack" in name), name


def test_the_dashboard_graphs_what_is_emitted() -> None:
    for metric in graphed():
        if isinstance(metric[0], dict):
            [name] = re.findall(r'MetricName="(\w+)"', metric[0]["expression"])
            assert name in EMITTED
        elif metric[0] == "orderwatch":
            assert metric[1] in EMITTED
            assert metric[2:4] == ["service", "${AWS::StackName}"]
        else:
            assert metric[1] in AWS_METRICS[metric[0]]


def test_the_dashboard_answers_the_questions_of_an_operator() -> None:
    graphs = {str(metric) for metric in graphed()}
    for name in ("PollsFinished", "Transitions", "NumberOfNotificationsDelivered", "DeliveryDelay"):
        assert any(name in graph for graph in graphs), name
    for name in ("TrackstarThrottled", "AlertsOverdue"):
        assert any(name in graph for graph in graphs), name


def test_the_dashboard_reads_figures_that_the_polls_log() -> None:
    """A metric costs what it is sent for, a figure of the log only what is looked at."""
    source = (ROOT / "layers/orderwatch/python/orderwatch/polling/metrics.py").read_text()
    names = {name for query in queries() for name in re.findall(r"\((\w+)\) as", query)}
    assert {"SyncAge", "OrdersRead", "PagesRead"} <= names
    for name in names:
        assert f'"{name}"' in source
    for query in queries():
        assert query.startswith("SOURCE '${PollOrdersLogGroup}' | filter message = 'poll ended'")


def test_the_dashboard_is_an_option() -> None:
    assert RESOURCES["StackDashboard"]["Condition"] == "HasDashboard"


def test_no_widget_hides_another() -> None:
    places = [(widget["x"], widget["y"]) for widget in widgets()]
    assert len(set(places)) == len(places)
    assert all(x in {0, 12} and y % 6 == 0 for x, y in places)
