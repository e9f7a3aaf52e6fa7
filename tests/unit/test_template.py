"""template.yaml: the relations between its settings on which the rules depend.

The local cloud ignores many of these settings. What is no relation is left to cfn-lint and checkov (`make check`), and
permissions to `tests/integration/test_iam.py`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from functions.post_to_slack import app as post_to_slack
from orderwatch import settings
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.aws.rate_limit import TOPIC_LIMIT
from orderwatch.publishing.group import MAX_ORDERS
from orderwatch.publishing.publish import STOP_BEFORE
from orderwatch_cli.commands import env_json
from orderwatch_cli.stack import Outputs, StackParameters
from tests.support.template import load_template, of_type

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
TABLES = of_type("AWS::DynamoDB::Table")
TOPICS = of_type("AWS::SNS::Topic")
OWN_KEY = {"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
STATE = {"OrderTable", "ConnectionTable", "AlertTable", "SlackQueue", "SlackDeadLetterQueue"}
"""Resources that outlive the stack."""
DAY = 24 * 3600
REDRIVE_EVERY = 15 * 60


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name]["Properties"]
    return found


def event(function: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = FUNCTIONS[function]["Events"][name]["Properties"]
    return found


# Parameters, outputs and variables


def test_every_parameter_has_one_group_and_a_label() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    assert interface["ParameterLabels"].keys() == PARAMETERS.keys()


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
        ("KmsKeyArn", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1111-2222", True, "GovCloud"),
        ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:alias/mine", False, "IAM needs the key"),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/path/boundary", True, "a policy with a path"),
        ("PermissionsBoundaryArn", "boundary", False, "not an ARN"),
        ("HttpsProxy", "http://proxy.example.com:3128", True, "a proxy"),
        ("HttpsProxy", "http://user:secret@proxy.example.com:3128", False, "a secret in the environment"),
        ("NoProxy", ".amazonaws.com,.amazonaws.com.cn", True, "all endpoints of AWS"),
    ],
)
def test_a_parameter_accepts_only_valid_values(parameter: str, value: str, is_allowed: bool, reason: str) -> None:
    assert bool(re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value)) is is_allowed, reason


def test_the_log_level_cannot_be_debug() -> None:
    assert PARAMETERS["LogLevel"]["AllowedValues"] == ["INFO", "WARNING", "ERROR"]


def test_the_command_line_knows_the_parameters_and_outputs() -> None:
    outputs = {name: "Condition" not in output for name, output in TEMPLATE["Outputs"].items()}
    assert {str(field.alias): field.is_required() for field in Outputs.model_fields.values()} == outputs
    for field in StackParameters.model_fields.values():
        default = PARAMETERS[str(field.alias)]["Default"]
        assert field.is_required() or field.default == default, field.alias


OTHER_VALUES = {
    "STACK_NAME": {"Ref": "AWS::StackName"},
    "IDEMPOTENCY_TABLE_NAME": {"Ref": "SlackDeliveryTable"},
    "ALERT_EMAIL_EXPECTED": {"Fn::If": ["HasAlertEmail", "true", "false"]},
    "OPS_EMAIL_EXPECTED": {"Fn::If": ["HasOpsEmail", "true", "false"]},
    "SLACK_QUEUE_URL": {"Fn::If": ["HasSlack", {"Ref": "SlackQueue"}, ""]},
    "ACTION_URL": {"Fn::If": ["HasActionLinks", {"Fn::GetAtt": "HandleActionFunctionUrl.FunctionUrl"}, ""]},
}
"""Variables that do not have the name of their parameter or resource."""


def namesake(variable: str) -> dict[str, str]:
    name = variable.title().replace("_", "")
    return {"Ref": name if name in PARAMETERS else re.sub("(Name|Arn|Url)$", "", name)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gets_exactly_its_settings(function: str) -> None:
    fields = getattr(settings, function.replace("Function", "Settings")).model_fields
    variables = {name.upper(): OTHER_VALUES.get(name.upper(), namesake(name)) for name in fields}
    assert FUNCTIONS[function]["Environment"]["Variables"] == variables


def optional(condition: str, value: Any) -> dict[str, Any]:
    return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}


@pytest.mark.parametrize(
    ("variable", "condition", "parameter"),
    [
        ("AWS_ENDPOINT_URL", "HasAwsEndpointUrl", "AwsEndpointUrl"),
        ("HTTPS_PROXY", "HasHttpsProxy", "HttpsProxy"),
        ("NO_PROXY", "HasHttpsProxy", "NoProxy"),
    ],
)
def test_a_variable_of_the_network_is_unset_by_default(variable: str, condition: str, parameter: str) -> None:
    """A local cloud sets it only if it is missing, and `env-json` sets what SAM cannot resolve."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables[variable] == optional(condition, {"Ref": parameter})
    assert variable in env_json.UNSET


# Polls


def test_a_failed_poll_blocks_its_shop_under_three_minutes() -> None:
    queue, function = properties("PollQueue"), properties("PollOrdersFunction")
    assert function["Timeout"] < queue["VisibilityTimeout"] < 3 * 60


def test_a_poll_is_tried_five_times_before_its_message_expires() -> None:
    queue = properties("PollQueue")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert 5 * queue["VisibilityTimeout"] < queue["MessageRetentionPeriod"] <= 3600
    assert "ContentBasedDeduplication" not in queue, "messages of two ticks have the same body"


def test_an_invocation_polls_one_connection() -> None:
    mapping, concurrency = event("PollOrdersFunction", "PollQueue"), PARAMETERS["PollConcurrency"]
    assert mapping["BatchSize"] == 1
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "PollConcurrency"}}
    assert (concurrency["MinValue"], concurrency["MaxValue"]) == (2, 1000), "the limits of SQS"


def test_a_quiet_shop_is_polled_twice_before_an_alarm() -> None:
    gap, stalled_after = PARAMETERS["MaxPollGapMinutes"]["Default"], PARAMETERS["StalledAfterMinutes"]["Default"]
    assert 2 * gap <= stalled_after


def test_only_poll_orders_may_queue_its_own_continuation() -> None:
    assert [name for name, each in FUNCTIONS.items() if each.get("RecursiveLoop") == "Allow"] == ["PollOrdersFunction"]


# Queues, the stream and schedules


def test_a_failed_message_does_not_repeat_its_batch() -> None:
    mappings = [each for function in FUNCTIONS.values() for each in function.get("Events", {}).values()]
    reported = [each["Properties"]["FunctionResponseTypes"] for each in mappings if each["Type"] != "ScheduleV2"]
    assert reported == [["ReportBatchItemFailures"]] * 3


def test_a_bad_stream_record_does_not_block_the_rest() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    assert stream["BisectBatchOnFunctionError"] is True
    assert 1 <= stream["MaximumRetryAttempts"] <= 10
    assert 2 * REDRIVE_EVERY <= stream["MaximumRecordAgeInSeconds"] < DAY
    assert stream["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "StreamFailureQueue.Arn"}


def test_the_stream_delivers_every_new_alert_and_no_update() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    assert stream["StartingPosition"] == "TRIM_HORIZON", "includes alerts written while the mapping is created"
    assert stream["FilterCriteria"] == {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}


def test_a_batch_of_the_stream_is_full_digests_and_waits_a_second() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    assert stream["BatchSize"] % MAX_ORDERS == 0
    assert stream["MaximumBatchingWindowInSeconds"] == 1


def test_a_batch_without_digests_is_sent_before_the_stream_gives_up() -> None:
    stream = event("PublishAlertsFunction", "AlertStream")
    messages, sending = stream["BatchSize"], properties("PublishAlertsFunction")["Timeout"] - STOP_BEFORE
    # Product details take up to 30 seconds.
    assert messages / TOPIC_LIMIT.messages + 30 < sending, "alone, one invocation sends it"
    # Five senders share five messages a second.
    assert messages < (sending - 30) * (1 + stream["MaximumRetryAttempts"])
    assert messages < stream["MaximumRecordAgeInSeconds"] / 2


@pytest.mark.parametrize("function", ["PublishAlertsFunction", "RedriveAlertsFunction"])
def test_a_lease_outlives_the_function_that_acquired_it(function: str) -> None:
    assert properties(function)["Timeout"] < LEASE_DURATION.total_seconds()


def schedule_of(function: str) -> dict[str, Any]:
    """Retries and dead letters of the schedule that invokes a function."""
    if "Events" in FUNCTIONS[function]:
        [schedule] = FUNCTIONS[function]["Events"].values()
        found: dict[str, Any] = schedule["Properties"]
        assert found["OmitName"] is True, "a fixed name would be the same in every stack of the account"
        return found
    target: dict[str, Any] = properties(f"{function}Schedule")["Target"]
    return target


@pytest.mark.parametrize(
    ("function", "retries", "seconds"),
    [
        ("DispatchPollsFunction", 1, 300),
        ("RedriveAlertsFunction", 1, REDRIVE_EVERY),
        ("SendSummaryFunction", 2, 3600),
    ],
)
def test_a_failed_scheduled_run_is_retried_and_then_kept(function: str, retries: int, seconds: int) -> None:
    dead_letters = {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}
    invoked, schedule = FUNCTIONS[function]["EventInvokeConfig"], schedule_of(function)
    assert invoked["MaximumRetryAttempts"] == retries
    assert invoked["MaximumEventAgeInSeconds"] <= seconds, "the next run does the work, except that of a summary"
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == dead_letters
    assert 60 <= schedule["RetryPolicy"]["MaximumEventAgeInSeconds"] <= REDRIVE_EVERY
    assert schedule["DeadLetterConfig"] == {"Arn": dead_letters}


def test_schedules_are_those_of_the_parameters_in_the_time_zone() -> None:
    polls, summaries = event("DispatchPollsFunction", "PollSchedule"), properties("SendSummaryFunctionSchedule")
    assert RESOURCES["SendSummaryFunctionSchedule"]["Condition"] == "HasSummary"
    for parameter, schedule in (("PollSchedule", polls), ("SummarySchedule", summaries)):
        assert schedule["ScheduleExpression"] == {"Ref": parameter}
        assert schedule["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}, parameter


def test_failed_messages_go_to_the_dead_letters_of_their_queue() -> None:
    for name in ("PollQueue", "SlackQueue", "SlackSubscription"):
        target = re.sub("Queue|Subscription", "DeadLetterQueue", name)
        assert properties(name)["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": f"{target}.Arn"}
        assert QUEUES[target].get("FifoQueue") == properties(name).get("FifoQueue")


def test_dead_letters_are_kept_for_14_days() -> None:
    kept = {name: queue["MessageRetentionPeriod"] for name, queue in QUEUES.items() if re.search("Letter|Fail", name)}
    assert kept == dict.fromkeys(kept, 14 * DAY)
    assert len(kept) == 4


# Recipients


@pytest.mark.parametrize("name", ["Alert", "Ops"])
def test_an_address_is_subscribed_to_its_topic(name: str) -> None:
    subscription = RESOURCES[f"{name}EmailSubscription"]
    assert subscription["Condition"] == f"Has{name}Email"
    assert subscription["Properties"]["TopicArn"] == {"Ref": f"{name}Topic"}
    assert subscription["Properties"]["Endpoint"] == {"Ref": f"{name}Email"}
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Email"}, ""]}]}
    assert TEMPLATE["Conditions"][f"Has{name}Email"] == given


def test_slack_resources_exist_only_with_slack() -> None:
    for name, resource in RESOURCES.items():
        assert (resource.get("Condition") == "HasSlack") is ("Slack" in name), name


def test_two_instances_post_to_slack_and_never_the_same_message() -> None:
    queue, function = properties("SlackQueue"), properties("PostToSlackFunction")
    assert event("PostToSlackFunction", "SlackQueue")["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"], "recommended by AWS"


def test_attempts_at_slack_last_four_days_and_end_before_expiry() -> None:
    queue = properties("SlackQueue")
    attempts = queue["RedrivePolicy"]["maxReceiveCount"]
    assert attempts <= 1000, "the maximum of SQS"
    seconds = attempts * queue["VisibilityTimeout"]
    assert 4 * DAY <= seconds < queue["MessageRetentionPeriod"] / 2, "expired messages are lost, dead letters are not"


def test_slack_drops_duplicates_while_its_queues_can_hold_one() -> None:
    for name in ("SlackQueue", "SlackDeadLetterQueue"):
        assert properties(name)["MessageRetentionPeriod"] <= post_to_slack.REMEMBERED_FOR


def test_slack_gets_the_json_of_an_alert_and_loses_none_at_first() -> None:
    assert properties("SlackSubscription")["RawMessageDelivery"] is True
    assert RESOURCES["SlackSubscription"]["DependsOn"] == "SlackQueuePolicy"


# Action links


def test_nothing_is_public_unless_action_links_are_enabled() -> None:
    assert PARAMETERS["ActionLinks"]["Default"] == "false"
    assert TEMPLATE["Conditions"]["HasActionLinks"] == {"Fn::Equals": [{"Ref": "ActionLinks"}, "true"]}
    for name, resource in RESOURCES.items():
        assert (resource.get("Condition") == "HasActionLinks") is ("Action" in name), name
    assert [name for name, function in FUNCTIONS.items() if "FunctionUrlConfig" in function] == ["HandleActionFunction"]
    assert {*of_type("AWS::Lambda::Url"), *of_type("AWS::Lambda::Permission")} == set()


def test_requests_from_everywhere_use_few_of_the_account_s_functions() -> None:
    reserved = {name: function.get("ReservedConcurrentExecutions") for name, function in FUNCTIONS.items()}
    assert reserved.pop("HandleActionFunction") == 5
    assert set(reserved.values()) == {None}, "the others share what the account has"


# Tables, and what happens to resources with the stack


def test_state_outlives_the_stack_and_other_resources_do_not() -> None:
    """State has no fixed name, because a new stack could not create what an old one left."""
    for name in {*QUEUES, *TABLES, *of_type("AWS::Logs::LogGroup")}:
        kept = (RESOURCES[name].get("DeletionPolicy"), RESOURCES[name].get("UpdateReplacePolicy"))
        assert kept == (("RetainExceptOnCreate", "Retain") if name in STATE else (None, None)), name
        assert name not in STATE or not {"TableName", "QueueName"} & properties(name).keys(), name


def test_tables_with_state_can_be_protected_from_deletion() -> None:
    protected = {name: table.get("DeletionProtectionEnabled") for name, table in TABLES.items()}
    expected = {name: {"Ref": "TableDeletionProtection"} if name in STATE else None for name in TABLES}
    assert protected == expected


def test_only_alerts_and_slack_deliveries_expire() -> None:
    expiring = {name: table.get("TimeToLiveSpecification", {}).get("AttributeName") for name, table in TABLES.items()}
    alone = {name: attribute for name, attribute in expiring.items() if attribute}
    assert alone == {"AlertTable": "expires_at", "SlackDeliveryTable": "expiration"}


def test_the_dashboard_name_has_the_region() -> None:
    assert properties("StackDashboard")["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


# Access


def test_tables_and_queues_are_encrypted_and_billed_by_use() -> None:
    for name, queue in QUEUES.items():
        managed = {"Fn::If": ["HasKmsKey", {"Ref": "AWS::NoValue"}, True]}
        assert (queue["SqsManagedSseEnabled"], queue["KmsMasterKeyId"]) == (managed, OWN_KEY), name
    for name, table in TABLES.items():
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": OWN_KEY}, name
        assert table["BillingMode"] == "PAY_PER_REQUEST", name


def test_topics_and_logs_have_the_key_that_is_given() -> None:
    assert {str(topic["KmsMasterKeyId"]) for topic in TOPICS.values()} == {str(OWN_KEY)}
    assert {str(group["KmsKeyId"]) for group in of_type("AWS::Logs::LogGroup").values()} == {str(OWN_KEY)}


def test_every_role_has_the_permissions_boundary_that_is_given() -> None:
    boundary = optional("HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"})
    for name, role in of_type("AWS::IAM::Role").items():
        assert role["PermissionsBoundary"] == boundary, name


def test_all_functions_are_in_the_vpc_or_none() -> None:
    network = {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
    assert TEMPLATE["Globals"]["Function"]["VpcConfig"] == optional("HasVpc", network)
    assert [name for name, function in FUNCTIONS.items() if "VpcConfig" in function] == []


def test_nothing_of_a_governed_account_is_set_by_default() -> None:
    [group] = [
        each["Parameters"]
        for each in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        if each["Label"]["default"] == "Governed accounts"
    ]
    assert {name: PARAMETERS[name]["Default"] for name in group if PARAMETERS[name]["Default"]} == {
        "LogRetentionDays": 30
    }


def statements_about() -> dict[str, list[dict[str, Any]]]:
    """The statements of the policies of each topic and queue."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, subjects in (("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")):
        for policy in of_type(kind).values():
            for subject in policy[subjects]:
                found[subject["Ref"]] += policy["PolicyDocument"]["Statement"]
    return found


def test_topics_and_queues_refuse_plain_http() -> None:
    guarded = statements_about()
    assert guarded.keys() == {*QUEUES, *TOPICS}
    for name, statements in guarded.items():
        [denied] = [each for each in statements if each["Effect"] == "Deny"]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
        actions = ("sns:Publish", {"Ref": name}) if name in TOPICS else ("sqs:*", "*")
        assert (denied["Principal"], denied["Action"], denied["Resource"]) == ("*", *actions), name


def allowed() -> Iterator[tuple[str, str, str]]:
    """Which service may do what with which topic or queue."""
    for name, statements in statements_about().items():
        for each in statements:
            if each["Effect"] == "Allow":
                assert each["Resource"] in ("*", {"Ref": name})
                yield name, each["Principal"]["Service"], each["Action"]


def test_only_alarms_and_the_alert_topic_may_send_from_outside() -> None:
    assert set(allowed()) == {
        ("OpsTopic", "cloudwatch.amazonaws.com", "sns:Publish"),
        ("SlackQueue", "sns.amazonaws.com", "sqs:SendMessage"),
        ("SlackDeadLetterQueue", "sns.amazonaws.com", "sqs:SendMessage"),
    }
    about = statements_about()
    for name in ("SlackQueue", "SlackDeadLetterQueue"):
        assert about[name][1]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "AlertTopic"}}}
    of_this_account = about["OpsTopic"][1]["Condition"]["StringEquals"]
    assert of_this_account == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_json_to_its_own_group(function: str) -> None:
    group = function.replace("Function", "LogGroup")
    assert FUNCTIONS[function]["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": group}}
    assert properties(group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_may_trace_decrypt_and_connect_only_if_needed(function: str) -> None:
    """The policies are attached when the role is created: one attached later would race with the functions."""
    attached = properties(function.replace("Function", "Role"))["ManagedPolicyArns"]
    policies = {"HasTracing": "TracingPolicy", "HasKmsKey": "KeyPolicy", "HasVpc": "NetworkPolicy"}
    assert attached == [optional(condition, {"Ref": policy}) for condition, policy in policies.items()]
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    assert TEMPLATE["Conditions"]["HasTracing"] == {"Fn::Equals": [{"Ref": "Tracing"}, "Active"]}


def test_the_layer_supports_both_architectures() -> None:
    compatible = properties("OrderwatchLayer")["CompatibleArchitectures"]
    assert compatible == PARAMETERS["Architecture"]["AllowedValues"]
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == [{"Ref": "Architecture"}]
