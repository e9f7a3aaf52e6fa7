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
SOURCES = [*(ROOT / "layers/orderwatch/python/orderwatch").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
BY_STACK = [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
AWS_METRICS = {
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesDeleted"},
    "AWS/Lambda": {"IteratorAge", "Errors", "Throttles"},
    "AWS/SNS": {"NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
}


def emitted(path: Path) -> Iterator[str]:
    """The names of the metrics that a module emits: given to `add_metric` or `count_by`, or counted in a `report`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr="add_metric"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name(id="count_by"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.FunctionDef(name="report"):
                yield from _keys(node)


def _keys(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


EMITTED = {name for path in SOURCES for name in emitted(path)}


def widgets() -> list[dict[str, Any]]:
    text, _ = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def graphed() -> Iterator[list[Any]]:
    for widget in widgets():
        yield from widget["properties"]["metrics"]


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
    alarm = ALARMS[name]
    if alarm["Namespace"] == "orderwatch":
        assert alarm["MetricName"] in EMITTED
        assert alarm["Dimensions"] == BY_STACK, "two stacks of one account must not hear each other's alarms"
    else:
        assert alarm["MetricName"] in AWS_METRICS[alarm["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_one_that_cloudwatch_takes(name: str) -> None:
    alarm = ALARMS[name]
    periods = alarm["EvaluationPeriods"]
    longest = load_template()["Parameters"]["SilenceMinutes"]["MaxValue"] if isinstance(periods, dict) else periods
    assert alarm["Period"] * longest <= 24 * 3600
    assert alarm["DatapointsToAlarm"] == periods or alarm["DatapointsToAlarm"] <= periods


def test_only_where_silence_is_the_trouble_missing_data_raises_the_alarm() -> None:
    silent = {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] == "breaching"}
    assert silent == {"NoPollsAlarm", "AlertsOverdueAlarm"}
    assert ALARMS["NoPollsAlarm"]["MetricName"] == "PollsFinished"
    assert ALARMS["NoPollsAlarm"]["EvaluationPeriods"] == {"Ref": "SilenceMinutes"}
    assert ALARMS["NoPollsAlarm"]["Period"] == 60
    redrive = RESOURCES["RedriveAlertsFunction"]["Properties"]["Events"]["RedriveSchedule"]["Properties"]
    assert redrive["ScheduleExpression"] == "rate(15 minutes)"
    assert ALARMS["AlertsOverdueAlarm"]["Period"] == 2 * 15 * 60, "one late tick is no silence"


def test_every_queue_of_dead_letters_has_its_alarm() -> None:
    queues = {
        name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue" and "Letter" in name
    } | {"StreamFailureQueue"}
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"].removesuffix(".QueueName")
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert watched == queues


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_its_alarms(metric: str) -> None:
    watched = [alarm["Dimensions"][0]["Value"]["Ref"] for alarm in ALARMS.values() if alarm["MetricName"] == metric]
    assert sorted(watched) == FUNCTIONS


def test_what_the_issue_of_an_alert_can_suffer_has_an_alarm() -> None:
    own = {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == "orderwatch"}
    assert own == {
        *("PollsFinished", "AlertsOverdue", "AlertsUnsent", "MessagesPlain"),
        *("OrdersQuarantined", "FoundBySweep"),
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
    for name in ("PollsFinished", "SyncAge", "Transitions", "NumberOfNotificationsDelivered", "DeliveryDelay"):
        assert any(name in graph for graph in graphs), name
    for name in ("TrackstarRequests", "TrackstarThrottled", "AlertsOverdue", "FoundBySweep"):
        assert any(name in graph for graph in graphs), name


def test_no_widget_hides_another() -> None:
    places = [(widget["x"], widget["y"]) for widget in widgets()]
    assert len(set(places)) == len(places)
    assert all(x in {0, 12} and y % 6 == 0 for x, y in places)
