"""Settings: read once, whole, and an error names the variable and never its value."""

import pytest

from orderwatch.errors import SettingsError
from orderwatch.settings import DispatchPollsSettings, PollOrdersSettings, PublishAlertsSettings, read_settings
from tests.support.template import load_template

ENVIRONMENT = {
    "PARAMETER_PREFIX": "/orderwatch",
    "TRACKSTAR_BASE_URL": "https://production.trackstarhq.com",
    "ALERT_STATUSES": "exception, cancelled,,",
    "NOTIFY_RECOVERED": "false",
    "BASELINE_DAYS": "30",
    "STALLED_AFTER_MINUTES": "30",
    "SYNC_MINUTES": "0",
    "TIME_ZONE": "Europe/Berlin",
    "DEADLINE_ALERTS": "true",
    "LATE_WARNING_HOURS": "24",
    "STUCK_DAYS": "0",
    "ORDER_TABLE_NAME": "orders",
    "CONNECTION_TABLE_NAME": "connections",
    "ALERT_TABLE_NAME": "alerts",
    "POLL_QUEUE_URL": "https://sqs/poll.fifo",
}


def test_the_environment_becomes_settings() -> None:
    settings = read_settings(PollOrdersSettings, ENVIRONMENT | {"PATH": "/bin"})
    assert settings.alert_statuses == {"exception", "cancelled"}
    assert (settings.notify_recovered, settings.baseline_days) == (False, 30)
    assert settings.poll_queue_url == "https://sqs/poll.fifo"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://shop.lambda-url.us-east-1.localhost:4566/path"]
)
def test_a_shop_on_this_machine_needs_no_tls(url: str) -> None:
    assert read_settings(PollOrdersSettings, ENVIRONMENT | {"TRACKSTAR_BASE_URL": url}).trackstar_base_url == url


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings(PollOrdersSettings, {key: value for key, value in ENVIRONMENT.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIME_ZONE", "Europe/Hamburg"),
        ("TIME_ZONE", "Antarctica"),
        ("BASELINE_DAYS", "-7654321"),
        ("BASELINE_DAYS", "a-week-or-so"),
        ("ALERT_STATUSES", " , "),
        ("NOTIFY_RECOVERED", "perhaps-not"),
        ("TRACKSTAR_BASE_URL", "ftp://user:password@host"),
        ("TRACKSTAR_BASE_URL", "http://production.trackstarhq.com"),
        ("TRACKSTAR_BASE_URL", "http://localhost.example.com"),
        ("TRACKSTAR_BASE_URL", "http://127.0.0.1@example.com"),
    ],
)
def test_an_invalid_variable_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(PollOrdersSettings, ENVIRONMENT | {name: value})
    assert name in str(caught.value)
    assert "deploy template.yaml" in str(caught.value)
    assert value not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_all_invalid_variables_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"ALERT_TABLE_NAME.*ALERT_TOPIC_ARN.*DIGEST_THRESHOLD"):
        read_settings(PublishAlertsSettings, {"PARAMETER_PREFIX": "/orderwatch"})


def test_settings_cannot_be_changed_and_can_key_a_cache() -> None:
    settings = read_settings(PollOrdersSettings, ENVIRONMENT)
    assert hash(settings) == hash(read_settings(PollOrdersSettings, ENVIRONMENT))
    with pytest.raises(ValueError, match="frozen"):
        settings.baseline_days = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("function", "model"),
    [("PollOrdersFunction", PollOrdersSettings), ("PublishAlertsFunction", PublishAlertsSettings)],
)
def test_the_template_sets_exactly_the_variables_of_the_settings(
    function: str, model: type[PollOrdersSettings | PublishAlertsSettings]
) -> None:
    given = load_template()["Resources"][function]["Properties"]["Environment"]["Variables"]
    assert {name.upper() for name in model.model_fields} == set(given)


def test_an_unknown_time_zone_is_refused_at_the_first_tick() -> None:
    variables = {"PARAMETER_PREFIX": "/orderwatch", "POLL_QUEUE_URL": "https://sqs/poll.fifo"}
    variables |= {"TRACKSTAR_BASE_URL": "https://trackstar.example", "CONNECTION_TABLE_NAME": "connections"}
    variables |= {"MAX_POLL_GAP_MINUTES": "15", "SYNC_MINUTES": "0"}
    assert read_settings(DispatchPollsSettings, variables | {"TIME_ZONE": "UTC"}).time_zone == "UTC"
    with pytest.raises(SettingsError, match=r"TIME_ZONE: .*no time zone of the IANA database, such as Europe/Berlin"):
        read_settings(DispatchPollsSettings, variables | {"TIME_ZONE": "Europe/Hamburg"})
