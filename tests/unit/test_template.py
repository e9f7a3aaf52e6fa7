"""template.yaml: its public names, and the settings on which the rules depend.

The local cloud ignores many of these settings, so these tests read the template.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from functions.post_to_slack import app as post_to_slack
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.settings import (
    DispatchPollsSettings,
    PollOrdersSettings,
    PostToSlackSettings,
    PublishAlertsSettings,
    RedriveAlertsSettings,
    SendSummarySettings,
)
from tests.support.template import ROOT, load_template

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
FUNCTION = "AWS::Serverless::Function"
STATE = ("OrderTable", "ConnectionTable", "AlertTable", "SlackQueue", "SlackDeadLetterQueue")
WITHOUT_RESOURCE = ["ssm:DescribeParameters"]
EVERY_FUNCTION = {
    "POWERTOOLS_SERVICE_NAME": {"Ref": "AWS::StackName"},
    "POWERTOOLS_METRICS_NAMESPACE": "orderwatch",
    "POWERTOOLS_LOG_LEVEL": {"Ref": "LogLevel"},
    "AWS_ENDPOINT_URL": {"Fn::If": ["HasAwsEndpointUrl", {"Ref": "AwsEndpointUrl"}, {"Ref": "AWS::NoValue"}]},
}
VARIABLES: dict[str, dict[str, Any]] = {
    "DispatchPollsFunction": {
        "PARAMETER_PREFIX": "ParameterPrefix",
        "TRACKSTAR_BASE_URL": "TrackstarBaseUrl",
        "MAX_POLL_GAP_MINUTES": "MaxPollGapMinutes",
        "SYNC_MINUTES": "SyncMinutes",
        "CONNECTION_TABLE_NAME": "ConnectionTable",
        "POLL_QUEUE_URL": "PollQueue",
        "TIME_ZONE": "TimeZone",
    },
    "PollOrdersFunction": {
        "PARAMETER_PREFIX": "ParameterPrefix",
        "TRACKSTAR_BASE_URL": "TrackstarBaseUrl",
        "ALERT_STATUSES": "AlertStatuses",
        "NOTIFY_RECOVERED": "NotifyRecovered",
        "BASELINE_DAYS": "BaselineDays",
        "STALLED_AFTER_MINUTES": "StalledAfterMinutes",
        "SYNC_MINUTES": "SyncMinutes",
        "TIME_ZONE": "TimeZone",
        "DEADLINE_ALERTS": "DeadlineAlerts",
        "LATE_WARNING_HOURS": "LateWarningHours",
        "STUCK_DAYS": "StuckDays",
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
        "ALERT_EMAIL_EXPECTED": {"Fn::If": ["HasAlertEmail", "true", "false"]},
        "OPS_EMAIL_EXPECTED": {"Fn::If": ["HasOpsEmail", "true", "false"]},
        "SLACK_QUEUE_URL": {"Fn::If": ["HasSlack", {"Ref": "SlackQueue"}, ""]},
    },
    "SendSummaryFunction": {
        "STACK_NAME": "AWS::StackName",
        "PARAMETER_PREFIX": "ParameterPrefix",
        "TRACKSTAR_BASE_URL": "TrackstarBaseUrl",
        "ALERT_STATUSES": "AlertStatuses",
        "STALLED_AFTER_MINUTES": "StalledAfterMinutes",
        "TIME_ZONE": "TimeZone",
        "LATE_WARNING_HOURS": "LateWarningHours",
        "ORDER_TABLE_NAME": "OrderTable",
        "CONNECTION_TABLE_NAME": "ConnectionTable",
        "ALERT_TABLE_NAME": "AlertTable",
    },
    "PostToSlackFunction": {"PARAMETER_PREFIX": "ParameterPrefix", "IDEMPOTENCY_TABLE_NAME": "SlackDeliveryTable"},
}
SETTINGS: list[tuple[str, type[BaseModel]]] = [
    ("DispatchPollsFunction", DispatchPollsSettings),
    ("PollOrdersFunction", PollOrdersSettings),
    ("PublishAlertsFunction", PublishAlertsSettings),
    ("RedriveAlertsFunction", RedriveAlertsSettings),
    ("SendSummaryFunction", SendSummarySettings),
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


def test_parameters_have_their_public_names_and_defaults() -> None:
    assert {name: parameter["Default"] for name, parameter in PARAMETERS.items()} == {
        "TrackstarBaseUrl": "https://production.trackstarhq.com",
        "ParameterPrefix": "/orderwatch",
        "PollSchedule": "rate(1 minute)",
        "MaxPollGapMinutes": 15,
        "SyncMinutes": 0,
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
        "StalledAfterMinutes": 30,
        "Dashboard": "true",
        "DeadlineAlerts": "true",
        "LateWarningHours": 24,
        "StuckDays": 0,
        "SummarySchedule": "cron(0 8 ? * MON-FRI *)",
        "TimeZone": "UTC",
        "PollConcurrency": 5,
        "TableDeletionProtection": "false",
        "Tracing": "PassThrough",
        "AwsEndpointUrl": "",
    }


def test_every_parameter_has_one_group_and_a_label() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    assert interface["ParameterLabels"].keys() == PARAMETERS.keys()


def test_outputs_have_their_public_names() -> None:
    assert TEMPLATE["Outputs"].keys() == {
        *("AlertTopicArn", "OpsTopicArn", "PollQueueUrl"),
        *("DispatchPollsFunctionName", "PollOrdersFunctionName", "PublishAlertsFunctionName"),
        *("RedriveAlertsFunctionName", "PostToSlackFunctionName", "SendSummaryFunctionName"),
        *("OrderTableName", "ConnectionTableName", "AlertTableName"),
    }


@pytest.mark.parametrize(
    ("parameter", "value", "is_allowed", "reason"),
    [
        ("TrackstarBaseUrl", "http://127.0.0.1:8080", True, "a simulated shop"),
        ("TrackstarBaseUrl", "http://localhost:8080/trackstar", True, "loopback by name"),
        ("TrackstarBaseUrl", "http://shop.lambda-url.us-east-1.localhost:4566", True, "a function of a local cloud"),
        ("TrackstarBaseUrl", "http://production.trackstarhq.com", False, "the key would be sent unencrypted"),
        ("TrackstarBaseUrl", "http://127.0.0.1.example.com", False, "looks like loopback"),
        ("TrackstarBaseUrl", "http://localhost.example.com", False, "looks like loopback"),
        ("TrackstarBaseUrl", "http://127.0.0.1@example.com", False, "a user name that looks like loopback"),
        ("TrackstarBaseUrl", "https://production.trackstarhq.com/", False, "paths are appended with a slash"),
        ("TrackstarBaseUrl", "https://user:secret@example.com", False, "a secret in the environment"),
        ("ParameterPrefix", "/team/orderwatch", True, "a path of more than one part"),
        ("ParameterPrefix", "orderwatch", False, "IAM's ARN would not match"),
        ("ParameterPrefix", "/orderwatch/", False, "names would have two slashes"),
        ("ParameterPrefix", "/*", False, "matches every parameter in IAM"),
        ("PollSchedule", "cron(0/10 8-18 * * ? *)", True, "business hours"),
        ("PollSchedule", "5 minutes", False, "not a Scheduler expression"),
        ("SummarySchedule", "", True, "no summary"),
        ("SummarySchedule", "8:00", False, "not a Scheduler expression"),
        ("AlertStatuses", "exception", True, "one status"),
        ("AlertStatuses", "exception, cancelled", False, "a space"),
        ("AlertStatuses", "exception,", False, "an empty status"),
        ("AlertEmail", "", True, "no e-mail"),
        ("AlertEmail", "ops@example.com", True, "an address"),
        ("OpsEmail", "ops", False, "not an address"),
        ("AwsEndpointUrl", "http://host.docker.internal:4566", True, "a local cloud from inside a container"),
        ("AwsEndpointUrl", "host:4566", False, "not a URL"),
    ],
)
def test_a_parameter_accepts_only_valid_values(parameter: str, value: str, is_allowed: bool, reason: str) -> None:
    assert bool(re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value)) is is_allowed, reason


def test_the_log_level_cannot_be_debug() -> None:
    assert PARAMETERS["LogLevel"]["AllowedValues"] == ["INFO", "WARNING", "ERROR"]


@pytest.mark.parametrize("function", VARIABLES)
def test_a_function_has_exactly_its_variables(function: str) -> None:
    own = {name: {"Ref": target} if isinstance(target, str) else target for name, target in VARIABLES[function].items()}
    assert properties(function)["Environment"]["Variables"] == own
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"] == EVERY_FUNCTION


@pytest.mark.parametrize(("function", "settings"), SETTINGS)
def test_the_template_sets_every_setting_of_a_function(function: str, settings: type[BaseModel]) -> None:
    assert {name.upper() for name in settings.model_fields} <= VARIABLES[function].keys()


def test_a_failed_poll_blocks_its_shop_under_three_minutes() -> None:
    queue, function = properties("PollQueue"), properties("PollOrdersFunction")
    assert function["Timeout"] < queue["VisibilityTimeout"] < 3 * 60


def test_a_poll_is_tried_five_times_before_its_message_expires() -> None:
    queue = properties("PollQueue")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert 5 * queue["VisibilityTimeout"] < queue["MessageRetentionPeriod"]


def test_a_quiet_shop_is_polled_twice_before_an_alarm() -> None:
    gap, stalled_after = PARAMETERS["MaxPollGapMinutes"]["Default"], PARAMETERS["StalledAfterMinutes"]["Default"]
    assert 2 * gap <= stalled_after


def test_only_poll_orders_may_queue_its_own_continuation() -> None:
    assert {name for name, function in of_type(FUNCTION).items() if "RecursiveLoop" in function} == {
        "PollOrdersFunction"
    }
    assert properties("PollOrdersFunction")["RecursiveLoop"] == "Allow"


def test_poll_concurrency_is_within_the_limits_of_sqs() -> None:
    concurrency = PARAMETERS["PollConcurrency"]
    assert (concurrency["MinValue"], concurrency["MaxValue"]) == (2, 1000)


def test_an_invocation_polls_one_connection() -> None:
    assert event("PollOrdersFunction", "PollQueue") == {
        "Queue": {"Fn::GetAtt": "PollQueue.Arn"},
        "BatchSize": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "PollConcurrency"}},
    }


def test_poll_messages_expire_and_are_not_deduplicated_by_content() -> None:
    queue = properties("PollQueue")
    assert queue["MessageRetentionPeriod"] == 3600
    assert "ContentBasedDeduplication" not in queue


def test_a_fifo_queue_has_a_fifo_dead_letter_queue() -> None:
    for queue in of_type("AWS::SQS::Queue").values():
        if "RedrivePolicy" in queue:
            target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
            assert properties(target).get("FifoQueue") == queue.get("FifoQueue")


def test_a_bad_stream_record_does_not_block_the_rest() -> None:
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


def test_a_lease_outlives_the_function_that_acquired_it() -> None:
    assert properties("PublishAlertsFunction")["Timeout"] < LEASE_DURATION.total_seconds()


def test_two_instances_post_to_slack_and_never_the_same_message() -> None:
    mapping = event("PostToSlackFunction", "SlackQueue")
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 1 <= mapping["BatchSize"] <= 10
    assert properties("PostToSlackFunction")["Timeout"] < properties("SlackQueue")["VisibilityTimeout"]
    assert properties("SlackSubscription")["RawMessageDelivery"] is True


def test_slack_resources_exist_only_with_slack() -> None:
    conditions = {name: resource.get("Condition") for name, resource in RESOURCES.items()}
    assert {name for name in conditions if "Slack" in name} == {
        name for name, condition in conditions.items() if condition == "HasSlack"
    }
    assert TEMPLATE["Outputs"]["PostToSlackFunctionName"]["Condition"] == "HasSlack"


def test_amazon_q_needs_both_ids_and_grants_no_permission() -> None:
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
def test_a_failed_schedule_is_retried_and_reaches_the_dead_letters(function: str, name: str) -> None:
    schedule = event(function, name)
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["OmitName"] is True
    assert 60 <= schedule["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 900
    dead_letters = {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}
    assert schedule["DeadLetterConfig"] == {"Arn": dead_letters}
    on_failure = properties(function)["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert on_failure == {"Type": "SQS", "Destination": dead_letters}


def test_the_summary_schedule_is_optional_and_uses_the_time_zone() -> None:
    schedule, dead_letters = properties("SendSummaryFunctionSchedule"), {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}
    assert RESOURCES["SendSummaryFunctionSchedule"]["Condition"] == "HasSummary"
    assert schedule["ScheduleExpression"] == {"Ref": "SummarySchedule"}
    assert schedule["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": dead_letters}
    assert "Events" not in properties("SendSummaryFunction")
    config = properties("SendSummaryFunction")["EventInvokeConfig"]
    assert config["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": dead_letters}
    assert config["MaximumRetryAttempts"] == 2, "the next invocation is a day away"


@pytest.mark.parametrize(
    ("table", "key", "indexes"),
    [
        (
            "OrderTable",
            ["order_key"],
            {"attention": ("connection_id", "status_since", "ALL"), "due": ("connection_id", "due_at", "ALL")},
        ),
        ("ConnectionTable", ["connection_id"], {}),
        (
            "AlertTable",
            ["connection_id", "alert_id"],
            {
                "pending": ("pending", "created_at", "KEYS_ONLY"),
                "by_time": ("connection_id", "created_at", "KEYS_ONLY"),
            },
        ),
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


def test_every_table_is_on_demand_encrypted_and_recoverable() -> None:
    for name, table in of_type("AWS::DynamoDB::Table").items():
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
        assert table["SSESpecification"] == {"SSEEnabled": True}, name
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name


@pytest.mark.parametrize("name", STATE)
def test_state_outlives_the_stack_except_a_failed_first_deployment(name: str) -> None:
    kept = (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"])
    assert kept == ("RetainExceptOnCreate", "Retain")


def test_state_has_no_fixed_names() -> None:
    assert [name for name in STATE if {"TableName", "QueueName"} & properties(name).keys()] == []


def test_the_tables_can_be_protected_from_deletion() -> None:
    protected = {
        name: table["DeletionProtectionEnabled"]
        for name, table in of_type("AWS::DynamoDB::Table").items()
        if "DeletionProtectionEnabled" in table
    }
    assert protected == {name: {"Ref": "TableDeletionProtection"} for name in STATE if name.endswith("Table")}
    assert PARAMETERS["TableDeletionProtection"]["AllowedValues"] == ["true", "false"]


def test_names_that_are_unique_in_an_account_have_the_region() -> None:
    assert properties("StackDashboard")["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}
    assert properties("AmazonQChannel")["ConfigurationName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}-alerts"}


def test_only_alerts_and_slack_deliveries_expire() -> None:
    expiring = {
        name: table["TimeToLiveSpecification"]["AttributeName"]
        for name, table in of_type("AWS::DynamoDB::Table").items()
        if "TimeToLiveSpecification" in table
    }
    assert expiring == {"AlertTable": "expires_at", "SlackDeliveryTable": "expiration"}


def guarding(kind: str, listed_as: str) -> dict[str, list[dict[str, Any]]]:
    """The statements of the policies that guard each topic or queue."""
    guarded: dict[str, list[dict[str, Any]]] = {}
    for policy in of_type(kind).values():
        for resource in policy[listed_as]:
            guarded.setdefault(resource["Ref"], []).extend(policy["PolicyDocument"]["Statement"])
    return guarded


def tls_only(action: str, resource: Any) -> dict[str, Any]:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_every_queue_is_encrypted_and_refuses_plain_http() -> None:
    queues = of_type("AWS::SQS::Queue")
    assert [name for name, queue in queues.items() if queue["SqsManagedSseEnabled"] is not True] == []
    guarded = guarding("AWS::SQS::QueuePolicy", "Queues")
    assert sorted(guarded) == sorted(queues)
    for name, statements_of_it in guarded.items():
        assert tls_only("sqs:*", "*") in statements_of_it, name


def test_every_topic_refuses_plain_http() -> None:
    guarded = guarding("AWS::SNS::TopicPolicy", "Topics")
    assert sorted(guarded) == sorted(of_type("AWS::SNS::Topic"))
    for name, statements_of_it in guarded.items():
        assert tls_only("sns:Publish", {"Ref": name}) in statements_of_it, name


def test_every_function_has_its_own_role_and_log_group() -> None:
    for name, function in of_type("AWS::Serverless::Function").items():
        own = name.removesuffix("Function")
        assert function["Role"] == {"Fn::GetAtt": f"{own}Role.Arn"}
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": f"{own}LogGroup"}}
        assert properties(f"{own}LogGroup")["RetentionInDays"] == 30


def test_no_role_allows_every_action_or_resource() -> None:
    for role, statement in statements():
        assert not any("*" in action for action in listed(statement["Action"])), (role, statement["Sid"])
        assert "*" not in listed(statement["Resource"]) or statement["Action"] in WITHOUT_RESOURCE, (role, statement)
    assert "arn:" not in str([role.get("ManagedPolicyArns") for role in of_type("AWS::IAM::Role").values()])


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


def test_tracing_needs_no_library_and_is_off_by_default() -> None:
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    assert TEMPLATE["Conditions"]["HasTracing"] == {"Fn::Equals": [{"Ref": "Tracing"}, "Active"]}
    requirements = (ROOT / "layers/orderwatch/python/requirements.txt").read_text()
    assert "xray" not in requirements.lower()


def test_a_role_may_trace_only_if_tracing_is_active() -> None:
    attached = {"Fn::If": ["HasTracing", [{"Ref": "TracingPolicy"}], {"Ref": "AWS::NoValue"}]}
    for name in of_type(FUNCTION):
        assert properties(f"{name.removesuffix('Function')}Role")["ManagedPolicyArns"] == attached, name
    assert RESOURCES["TracingPolicy"]["Condition"] == "HasTracing"
    assert "Roles" not in properties("TracingPolicy"), "a policy attached later would race with the functions"


def test_dead_letters_are_kept_for_14_days() -> None:
    for name, queue in of_type("AWS::SQS::Queue").items():
        if "DeadLetter" in name or "Failure" in name:
            assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600, name


def test_attempts_at_slack_last_four_days_and_end_before_expiry() -> None:
    queue = properties("SlackQueue")
    tries = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert tries >= 4 * 24 * 3600
    assert queue["RedrivePolicy"]["maxReceiveCount"] <= 1000, "the maximum of SQS"
    assert tries < queue["MessageRetentionPeriod"] / 2, "expired messages are lost, dead letters are not"
    assert queue["VisibilityTimeout"] >= 6 * properties("PostToSlackFunction")["Timeout"], "recommended by AWS"


def test_slack_drops_duplicates_while_its_queues_can_hold_one() -> None:
    for name in ("SlackQueue", "SlackDeadLetterQueue"):
        assert properties(name)["MessageRetentionPeriod"] <= post_to_slack.REMEMBERED_FOR


def test_the_maximum_record_age_exceeds_two_runs_of_redrive() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    redrive = event("RedriveAlertsFunction", "RedriveSchedule")["ScheduleExpression"]
    assert redrive == "rate(15 minutes)"
    assert 2 * 15 * 60 <= stream["MaximumRecordAgeInSeconds"] < 24 * 3600


@pytest.mark.parametrize("function", ["DispatchPollsFunction", "RedriveAlertsFunction"])
def test_a_failed_tick_is_retried_once_and_soon(function: str) -> None:
    config = properties(function)["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 1
    assert config["MaximumEventAgeInSeconds"] <= 900


def test_other_resources_are_deleted_with_the_stack() -> None:
    for name, resource in RESOURCES.items():
        if name in STATE:
            continue
        if resource["Type"] in {"AWS::SQS::Queue", "AWS::Logs::LogGroup"} or name == "SlackDeliveryTable":
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Delete"), name


def test_only_the_alert_topic_may_send_to_the_slack_queues() -> None:
    allowed = {
        name: [statement for statement in statements_of_it if statement["Effect"] == "Allow"]
        for name, statements_of_it in guarding("AWS::SQS::QueuePolicy", "Queues").items()
    }
    from_the_topic = {
        "Sid": "FromAlertTopic",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "AlertTopic"}}},
    }
    slack = {"SlackQueue", "SlackDeadLetterQueue"}
    assert allowed == {name: [from_the_topic] if name in slack else [] for name in of_type("AWS::SQS::Queue")}


def test_the_slack_queue_policy_precedes_its_subscription() -> None:
    assert RESOURCES["SlackSubscription"]["DependsOn"] == "SlackQueuePolicy"


def test_the_layer_supports_both_architectures() -> None:
    layer = RESOURCES["OrderwatchLayer"]
    assert layer["Metadata"] == {"BuildMethod": "makefile"}
    assert layer["Properties"]["CompatibleArchitectures"] == TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == [{"Ref": "Architecture"}]
