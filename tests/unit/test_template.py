"""template.yaml: its contract, and the settings on which the rules of the design hang.

The local cloud ignores many of them, so they are read here.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from orderwatch.aws.alert_table import CLAIM
from orderwatch.settings import (
    DispatchPollsSettings,
    PollOrdersSettings,
    PostToSlackSettings,
    PublishAlertsSettings,
    RedriveAlertsSettings,
)
from tests.support.template import ROOT, load_template

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
DEFAULT_INTERVAL = 5 * 60
FUNCTION = "AWS::Serverless::Function"
EVERY_FUNCTION = {
    "POWERTOOLS_SERVICE_NAME": {"Ref": "AWS::StackName"},
    "POWERTOOLS_METRICS_NAMESPACE": "orderwatch",
    "POWERTOOLS_LOG_LEVEL": {"Ref": "LogLevel"},
    "AWS_ENDPOINT_URL": {"Fn::If": ["HasAwsEndpointUrl", {"Ref": "AwsEndpointUrl"}, {"Ref": "AWS::NoValue"}]},
}
VARIABLES = {
    "DispatchPollsFunction": {"PARAMETER_PREFIX": "ParameterPrefix", "POLL_QUEUE_URL": "PollQueue"},
    "PollOrdersFunction": {
        "PARAMETER_PREFIX": "ParameterPrefix",
        "TRACKSTAR_BASE_URL": "TrackstarBaseUrl",
        "ALERT_STATUSES": "AlertStatuses",
        "NOTIFY_RECOVERED": "NotifyRecovered",
        "BASELINE_DAYS": "BaselineDays",
        "ORDER_TABLE_NAME": "OrderTable",
        "CONNECTION_TABLE_NAME": "ConnectionTable",
        "ALERT_TABLE_NAME": "AlertTable",
        "POLL_QUEUE_URL": "PollQueue",
    },
    "PublishAlertsFunction": {
        "PARAMETER_PREFIX": "ParameterPrefix",
        "TRACKSTAR_BASE_URL": "TrackstarBaseUrl",
        "ALERT_TABLE_NAME": "AlertTable",
        "PACE_TABLE_NAME": "PaceTable",
        "ALERT_TOPIC_ARN": "AlertTopic",
        "OPS_TOPIC_ARN": "OpsTopic",
        "DIGEST_THRESHOLD": "DigestThreshold",
    },
    "RedriveAlertsFunction": {
        "ALERT_TABLE_NAME": "AlertTable",
        "PACE_TABLE_NAME": "PaceTable",
        "ALERT_TOPIC_ARN": "AlertTopic",
        "OPS_TOPIC_ARN": "OpsTopic",
        "DIGEST_THRESHOLD": "DigestThreshold",
    },
    "PostToSlackFunction": {"PARAMETER_PREFIX": "ParameterPrefix", "IDEMPOTENCY_TABLE_NAME": "SlackDeliveryTable"},
}
SETTINGS: list[tuple[str, type[BaseModel]]] = [
    ("DispatchPollsFunction", DispatchPollsSettings),
    ("PollOrdersFunction", PollOrdersSettings),
    ("PublishAlertsFunction", PublishAlertsSettings),
    ("RedriveAlertsFunction", RedriveAlertsSettings),
    ("PostToSlackFunction", PostToSlackSettings),
]


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name]["Properties"]
    return found


def of_type(kind: str) -> dict[str, Any]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def event(function: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = properties(function)["Events"][name]["Properties"]
    return found


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_parameters_have_the_names_and_defaults_of_the_contract() -> None:
    assert {name: parameter["Default"] for name, parameter in PARAMETERS.items()} == {
        "TrackstarBaseUrl": "https://production.trackstarhq.com",
        "ParameterPrefix": "/orderwatch",
        "PollSchedule": "rate(5 minutes)",
        "AlertStatuses": "exception,backordered,cancelled",
        "NotifyRecovered": "true",
        "DigestThreshold": 5,
        "BaselineDays": 0,
        "AlertEmail": "",
        "OpsEmail": "",
        "SlackEnabled": "false",
        "AmazonQSlackWorkspaceId": "",
        "AmazonQSlackChannelId": "",
        "Architecture": "arm64",
        "LogLevel": "INFO",
        "SilenceMinutes": 30,
        "Tracing": "PassThrough",
        "AwsEndpointUrl": "",
    }


def test_the_console_shows_every_parameter_once_in_a_group_and_with_a_label() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    assert interface["ParameterLabels"].keys() == PARAMETERS.keys()


def test_the_outputs_have_the_names_of_the_contract() -> None:
    assert TEMPLATE["Outputs"].keys() == {
        *("AlertTopicArn", "OpsTopicArn", "PollQueueUrl"),
        *("DispatchPollsFunctionName", "PollOrdersFunctionName", "PublishAlertsFunctionName"),
        *("RedriveAlertsFunctionName", "PostToSlackFunctionName"),
        *("OrderTableName", "ConnectionTableName", "AlertTableName"),
    }


@pytest.mark.parametrize(
    ("parameter", "value", "is_allowed", "reason"),
    [
        ("TrackstarBaseUrl", "http://127.0.0.1:8080", True, "a simulated shop"),
        ("TrackstarBaseUrl", "https://production.trackstarhq.com/", False, "paths are appended with a slash"),
        ("TrackstarBaseUrl", "https://user:secret@example.com", False, "a secret in the environment"),
        ("ParameterPrefix", "/team/orderwatch", True, "a path of more than one part"),
        ("ParameterPrefix", "orderwatch", False, "IAM's ARN would not match"),
        ("ParameterPrefix", "/orderwatch/", False, "names would have two slashes"),
        ("ParameterPrefix", "/*", False, "IAM would read it as every parameter"),
        ("PollSchedule", "cron(0/10 8-18 * * ? *)", True, "business hours"),
        ("PollSchedule", "5 minutes", False, "no expression of the Scheduler"),
        ("AlertStatuses", "exception", True, "one status"),
        ("AlertStatuses", "exception, cancelled", False, "a space"),
        ("AlertStatuses", "exception,", False, "an empty status"),
        ("AlertEmail", "", True, "no e-mail wanted"),
        ("AlertEmail", "ops@example.com", True, "an address"),
        ("OpsEmail", "ops", False, "no address"),
        ("AwsEndpointUrl", "http://host.docker.internal:4566", True, "a local cloud from inside a container"),
        ("AwsEndpointUrl", "host:4566", False, "no URL"),
    ],
)
def test_a_parameter_takes_what_works_and_refuses_the_rest(
    parameter: str, value: str, is_allowed: bool, reason: str
) -> None:
    assert bool(re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value)) is is_allowed, reason


def test_no_log_level_lets_the_sdk_write_bodies() -> None:
    assert PARAMETERS["LogLevel"]["AllowedValues"] == ["INFO", "WARNING", "ERROR"]


@pytest.mark.parametrize("function", VARIABLES)
def test_a_function_gets_exactly_its_variables(function: str) -> None:
    own = {name: {"Ref": target} for name, target in VARIABLES[function].items()}
    assert properties(function)["Environment"]["Variables"] == own
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"] == EVERY_FUNCTION


@pytest.mark.parametrize(("function", "settings"), SETTINGS)
def test_what_a_function_reads_is_what_the_template_sets(function: str, settings: type[BaseModel]) -> None:
    assert {name.upper() for name in settings.model_fields} <= VARIABLES[function].keys()


def test_a_failed_poll_blocks_its_connection_for_less_than_one_interval() -> None:
    queue, function = properties("PollQueue"), properties("PollOrdersFunction")
    assert function["Timeout"] < queue["VisibilityTimeout"] < DEFAULT_INTERVAL


def test_a_hopeless_poll_delays_its_connection_by_at_most_two_intervals() -> None:
    queue = properties("PollQueue")
    assert queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] <= 2 * DEFAULT_INTERVAL


def test_polls_come_one_connection_at_a_time_and_failures_alone_come_back() -> None:
    assert event("PollOrdersFunction", "PollQueue") == {
        "Queue": {"Fn::GetAtt": "PollQueue.Arn"},
        "BatchSize": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 10},
    }


def test_ticks_neither_pile_up_nor_swallow_each_other() -> None:
    queue = properties("PollQueue")
    assert queue["MessageRetentionPeriod"] == 3600
    assert "ContentBasedDeduplication" not in queue


def test_a_fifo_queue_has_fifo_dead_letters() -> None:
    for queue in of_type("AWS::SQS::Queue").values():
        if "RedrivePolicy" in queue:
            target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
            assert properties(target).get("FifoQueue") == queue.get("FifoQueue")


def test_the_stream_gives_new_alerts_and_no_record_holds_back_the_rest() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    assert stream == {
        "Stream": {"Fn::GetAtt": "AlertTable.StreamArn"},
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 1,
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 10,
        "MaximumRecordAgeInSeconds": 3600,
        "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": "StreamFailureQueue.Arn"}}},
    }


def test_a_claim_on_an_alert_outlives_the_function_that_made_it() -> None:
    assert properties("PublishAlertsFunction")["Timeout"] < CLAIM.total_seconds()


def test_slack_gets_no_more_than_two_posters_and_a_message_is_not_shown_to_both() -> None:
    mapping = event("PostToSlackFunction", "SlackQueue")
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 1 <= mapping["BatchSize"] <= 10
    assert properties("PostToSlackFunction")["Timeout"] < properties("SlackQueue")["VisibilityTimeout"]
    assert properties("SlackSubscription")["RawMessageDelivery"] is True


def test_all_that_slack_needs_exists_only_where_slack_is_wanted() -> None:
    conditions = {name: resource.get("Condition") for name, resource in RESOURCES.items()}
    assert {name for name in conditions if "Slack" in name} == {
        name for name, condition in conditions.items() if condition in {"HasSlack", "HasSlackTracing"}
    }
    assert TEMPLATE["Outputs"]["PostToSlackFunctionName"]["Condition"] == "HasSlack"


def test_amazon_q_shows_alerts_where_both_ids_are_given_and_nobody_gets_a_permission_by_it() -> None:
    channel = properties("AmazonQChannel")
    assert channel["SnsTopicArns"] == [{"Ref": "AlertTopic"}]
    assert channel["GuardrailPolicies"] == [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AWSDenyAll"}]
    assert properties("AmazonQRole").keys() == {"AssumeRolePolicyDocument"}
    assert {RESOURCES[name]["Condition"] for name in RESOURCES if "AmazonQ" in name} == {"HasAmazonQ"}
    given = [part["Fn::Not"][0]["Fn::Equals"] for part in TEMPLATE["Conditions"]["HasAmazonQ"]["Fn::And"]]
    assert given == [[{"Ref": "AmazonQSlackWorkspaceId"}, ""], [{"Ref": "AmazonQSlackChannelId"}, ""]]


@pytest.mark.parametrize(
    ("function", "name"), [("DispatchPollsFunction", "PollSchedule"), ("RedriveAlertsFunction", "RedriveSchedule")]
)
def test_a_tick_is_on_time_retried_for_a_while_and_never_lost_unseen(function: str, name: str) -> None:
    schedule = event(function, name)
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["OmitName"] is True
    assert 60 <= schedule["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 900
    dead_letters = {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}
    assert schedule["DeadLetterConfig"] == {"Arn": dead_letters}
    on_failure = properties(function)["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert on_failure == {"Type": "SQS", "Destination": dead_letters}


@pytest.mark.parametrize(
    ("table", "key", "indexes"),
    [
        ("OrderTable", ["order_key"], {"attention": ("connection_id", "status_since", "ALL")}),
        ("ConnectionTable", ["connection_id"], {}),
        ("AlertTable", ["connection_id", "alert_id"], {"pending": ("pending", "created_at", "KEYS_ONLY")}),
        ("SlackDeliveryTable", ["id"], {}),
        ("PaceTable", ["id"], {}),
    ],
)
def test_a_table_has_its_keys(table: str, key: list[str], indexes: dict[str, tuple[str, str, str]]) -> None:
    schema = properties(table)
    assert [part["AttributeName"] for part in schema["KeySchema"]] == key
    assert {
        index["IndexName"]: (
            *(part["AttributeName"] for part in index["KeySchema"]),
            index["Projection"]["ProjectionType"],
        )
        for index in schema.get("GlobalSecondaryIndexes", [])
    } == indexes


def test_every_table_is_billed_by_request_encrypted_and_recoverable() -> None:
    for name, table in of_type("AWS::DynamoDB::Table").items():
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
        assert table["SSESpecification"] == {"SSEEnabled": True}, name
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name


def test_what_orderwatch_knows_outlives_the_stack() -> None:
    for name in ("OrderTable", "ConnectionTable", "AlertTable"):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_rows_expire_where_they_may_and_orders_never() -> None:
    expiring = {
        name: table["TimeToLiveSpecification"]["AttributeName"]
        for name, table in of_type("AWS::DynamoDB::Table").items()
        if "TimeToLiveSpecification" in table
    }
    assert expiring == {"AlertTable": "expires_at", "SlackDeliveryTable": "expiration"}


def test_every_queue_is_encrypted_and_refuses_plain_http() -> None:
    queues = of_type("AWS::SQS::Queue")
    assert [name for name, queue in queues.items() if queue["SqsManagedSseEnabled"] is not True] == []
    guarded = [
        queue["Ref"]
        for policy in of_type("AWS::SQS::QueuePolicy").values()
        if any(each["Sid"] == "TlsOnly" for each in policy["PolicyDocument"]["Statement"])
        for queue in policy["Queues"]
    ]
    assert sorted(guarded) == sorted(queues)


def test_every_topic_refuses_plain_http() -> None:
    policies = of_type("AWS::SNS::TopicPolicy").values()
    guarded = {policy["Topics"][0]["Ref"]: policy["PolicyDocument"]["Statement"][0] for policy in policies}
    assert guarded.keys() == of_type("AWS::SNS::Topic").keys()
    for statement in guarded.values():
        assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_every_function_has_a_role_and_a_log_of_its_own() -> None:
    for name, function in of_type("AWS::Serverless::Function").items():
        own = name.removesuffix("Function")
        assert function["Role"] == {"Fn::GetAtt": f"{own}Role.Arn"}
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": f"{own}LogGroup"}}
        assert properties(f"{own}LogGroup")["RetentionInDays"] == 30


def test_no_role_is_allowed_every_action_or_every_resource() -> None:
    for role, statement in statements():
        assert not any("*" in action for action in listed(statement["Action"])), (role, statement["Sid"])
        assert "*" not in listed(statement["Resource"]), (role, statement["Sid"])
    assert not any("ManagedPolicyArns" in role for role in of_type("AWS::IAM::Role").values())


def test_only_post_to_slack_can_read_the_webhook() -> None:
    readers = {
        role
        for role, statement in statements()
        for resource in listed(statement["Resource"])
        if ":parameter${ParameterPrefix}/slack/" in str(resource)
    }
    assert readers == {"PostToSlackRole"}
    whole_prefix = [role for role, statement in statements() if "${ParameterPrefix}/*" in str(statement["Resource"])]
    assert whole_prefix == []


def test_tracing_is_the_runtimes_own_and_off_unless_it_is_wanted() -> None:
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    assert TEMPLATE["Conditions"]["HasTracing"] == {"Fn::Equals": [{"Ref": "Tracing"}, "Active"]}
    traced = [role["Ref"] for policy in of_type("AWS::IAM::Policy").values() for role in policy["Roles"]]
    assert sorted(traced) == sorted(f"{name.removesuffix('Function')}Role" for name in of_type(FUNCTION))
    requirements = (ROOT / "layers/orderwatch/python/requirements.txt").read_text()
    assert "xray" not in requirements.lower()


def test_dead_letters_and_what_was_given_up_are_kept_for_as_long_as_sqs_keeps_anything() -> None:
    for name, queue in of_type("AWS::SQS::Queue").items():
        if "DeadLetter" in name or "Failure" in name:
            assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600, name


def test_a_storm_that_waits_for_slack_is_not_set_aside_for_waiting() -> None:
    queue = properties("SlackQueue")
    hours = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] / 3600
    assert hours >= 0.5
    assert queue["MessageRetentionPeriod"] >= 4 * 24 * 3600


def test_the_record_age_is_below_the_streams_own_and_above_the_tries_of_redrive() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    redrive = event("RedriveAlertsFunction", "RedriveSchedule")["ScheduleExpression"]
    assert redrive == "rate(15 minutes)"
    assert 2 * 15 * 60 <= stream["MaximumRecordAgeInSeconds"] < 24 * 3600


@pytest.mark.parametrize("function", ["DispatchPollsFunction", "RedriveAlertsFunction"])
def test_a_tick_that_failed_is_tried_once_more_and_only_while_it_is_worth_something(function: str) -> None:
    config = properties(function)["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 1
    assert config["MaximumEventAgeInSeconds"] <= 900


def test_what_is_no_state_goes_with_the_stack() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] in {"AWS::SQS::Queue", "AWS::Logs::LogGroup"} or name == "SlackDeliveryTable":
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Delete"), name


def test_only_sns_may_send_to_slacks_queue_and_only_for_the_alert_topic() -> None:
    allowed = [
        statement
        for policy in of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    [statement] = allowed
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "AlertTopic"}}}


def test_the_layer_takes_either_processor_that_the_functions_may_run_on() -> None:
    layer = RESOURCES["OrderwatchLayer"]
    assert layer["Metadata"] == {"BuildMethod": "makefile"}
    assert layer["Properties"]["CompatibleArchitectures"] == TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == [{"Ref": "Architecture"}]
