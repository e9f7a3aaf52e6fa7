"""The settings of the functions and of a shop: an error names the variable or the key, and never its value."""

import json
from datetime import date

import pytest

from orderwatch.errors import SettingsError
from orderwatch.settings import DispatchPollsSettings, PollOrdersSettings, PublishAlertsSettings, read_settings
from orderwatch.shop_settings import ShopSettings, ShopSettingsError, Weekday, read_shop_settings
from tests.support.permissions import environment_of

ENVIRONMENT = environment_of("PollOrdersFunction") | {"ALERT_STATUSES": "exception, cancelled,,", "BASELINE_DAYS": "30"}


def test_the_environment_becomes_settings() -> None:
    settings = read_settings(PollOrdersSettings, ENVIRONMENT | {"PATH": "/bin", "NOTIFY_RECOVERED": "false"})
    assert settings.alert_statuses == {"exception", "cancelled"}
    assert (settings.notify_recovered, settings.baseline_days) == (False, 30)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://shop.lambda-url.us-east-1.localhost:4566/path"]
)
def test_a_shop_on_this_machine_needs_no_tls(url: str) -> None:
    assert read_settings(PollOrdersSettings, ENVIRONMENT | {"TRACKSTAR_BASE_URL": url}).trackstar_base_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIME_ZONE", "Europe/Hamburg"),
        ("BASELINE_DAYS", "-7654321"),
        ("STALLED_AFTER_MINUTES", "-0"),
        ("ALERT_STATUSES", " , "),
        ("NOTIFY_RECOVERED", "perhaps-not"),
        ("TRACKSTAR_BASE_URL", "ftp://user:password@host"),
        ("TRACKSTAR_BASE_URL", "http://production.trackstarhq.com"),
        ("TRACKSTAR_BASE_URL", "http://localhost.example.com"),
        ("TRACKSTAR_BASE_URL", "http://127.0.0.1@example.com"),
    ],
)
def test_an_invalid_variable_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}:? .*deploy template\.yaml") as caught:
        read_settings(PollOrdersSettings, ENVIRONMENT | {name: value})
    assert value not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_all_invalid_variables_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"ALERT_TABLE_NAME.*ALERT_TOPIC_ARN.*DIGEST_THRESHOLD"):
        read_settings(PublishAlertsSettings, {"PARAMETER_PREFIX": "/orderwatch"})


def test_settings_cannot_be_changed_and_can_key_a_cache() -> None:
    settings = read_settings(PollOrdersSettings, ENVIRONMENT)
    assert hash(settings) == hash(read_settings(PollOrdersSettings, ENVIRONMENT))
    with pytest.raises(ValueError, match="frozen"):
        settings.baseline_days = 1  # type: ignore[misc]


def test_an_unknown_time_zone_is_refused_at_the_first_tick() -> None:
    variables = environment_of("DispatchPollsFunction") | {"TIME_ZONE": "Europe/Hamburg"}
    with pytest.raises(SettingsError, match=r"TIME_ZONE: .*no time zone of the IANA database, such as Europe/Berlin"):
        read_settings(DispatchPollsSettings, variables)


# A shop's own settings


def test_what_a_shop_can_set() -> None:
    settings = read_shop_settings(
        '{"time_zone": "Europe/Berlin", "working_days": ["Mon", "sat"], "holidays": ["2026-12-25"],'
        ' "late_warning_hours": 720, "stuck_days": 365, "warehouses": {"wh_01HZX": " Hamburg "}}'
    )
    assert settings == ShopSettings(
        time_zone="Europe/Berlin",
        working_days=frozenset({Weekday.MON, Weekday.SAT}),
        holidays=frozenset({date(2026, 12, 25)}),
        late_warning_hours=720,
        stuck_days=365,
        warehouses={"wh_01HZX": "Hamburg"},
    )
    assert read_shop_settings("{}") == ShopSettings()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("20:00-07:00", "20:00-07:00"),
        (" 9:30 - 17:05 ", "09:30-17:05"),
        ("20:00-7:00  Working days", "20:00-07:00 working days"),
    ],
)
def test_quiet_hours_are_stored_in_one_form(text: str, stored: str) -> None:
    assert ShopSettings.model_validate({"quiet_hours": text}).quiet_hours == stored


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no JSON object"),
        ("[]", "no JSON object"),
        ('{"timezone": "Europe/Berlin"}', "timezone: is unknown"),
        ('{"time_zone": "Europe/Nowhere"}', "time_zone"),
        ('{"time_zone": "Europe"}', "time_zone"),
        ('{"time_zone": "../../etc/passwd"}', "time_zone"),
        ('{"working_days": []}', "working_days"),
        ('{"working_days": ["someday"]}', "working_days"),
        ('{"holidays": ["25.12.2026"]}', "holidays"),
        ('{"late_warning_hours": -1}', "late_warning_hours"),
        ('{"late_warning_hours": 721}', "late_warning_hours"),
        ('{"stuck_days": 366}', "stuck_days"),
        ('{"quiet_hours": "passwd"}', "quiet_hours: must be written like 20:00-07:00 or"),
        ('{"quiet_hours": "24:00-07:00"}', "quiet_hours: must be written like"),
        ('{"quiet_hours": "20:00-07:60"}', "quiet_hours: must be written like"),
        ('{"quiet_hours": "20-7"}', "quiet_hours: must be written like"),
        ('{"quiet_hours": "20:00-07:00 weekdays"}', "quiet_hours: must be written like"),
        ('{"quiet_hours": "20:00-20:00"}', "quiet_hours: must begin and end at different times"),
        ('{"quiet_hours": 20}', "quiet_hours: must be a text"),
        ('{"warehouses": ["passwd"]}', "warehouses: must be an object"),
        ('{"warehouses": {"passwd": null}}', "warehouses: must be a text"),
        ('{"warehouses": {"passwd": " "}}', "warehouses: is empty"),
        ('{"warehouses": {"": "passwd"}}', "warehouses: is empty"),
        ('{"warehouses": {"passwd": "Ham\\nburg"}}', "warehouses: must be one line without control characters"),
        (json.dumps({"warehouses": {"passwd": "x" * 81}}), "warehouses: has more than 80 characters"),
        (json.dumps({"warehouses": {"x" * 161: "passwd"}}), "warehouses: has more than 160 characters"),
        (json.dumps({"warehouses": dict.fromkeys(map(str, range(201)), "x")}), "warehouses: has more than 200 entries"),
    ],
)
def test_unreadable_settings_name_the_key_and_not_the_value(text: str, named: str) -> None:
    with pytest.raises(ShopSettingsError, match=named) as caught:
        read_shop_settings(text)
    assert "passwd" not in str(caught.value)
    assert "Nowhere" not in str(caught.value)
