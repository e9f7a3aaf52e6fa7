"""A shop's own settings are validated strictly; errors do not show the values."""

from datetime import date

import pytest

from orderwatch.shop_settings import ShopSettings, ShopSettingsError, Weekday, read_shop_settings


def test_every_key_is_optional() -> None:
    assert read_shop_settings("{}") == ShopSettings()


def test_what_a_shop_can_set() -> None:
    settings = read_shop_settings(
        '{"time_zone": "Europe/Berlin", "working_days": ["Mon", "sat"], "holidays": ["2026-12-25"],'
        ' "late_warning_hours": 12, "stuck_days": 2}'
    )
    assert settings.time_zone == "Europe/Berlin"
    assert settings.working_days == frozenset({Weekday.MON, Weekday.SAT})
    assert settings.holidays == frozenset({date(2026, 12, 25)})
    assert (settings.late_warning_hours, settings.stuck_days) == (12, 2)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no JSON object"),
        ("[]", "no JSON object"),
        ('{"timezone": "Europe/Berlin"}', "timezone: Extra inputs are not permitted"),
        ('{"time_zone": "Europe/Nowhere"}', "time_zone"),
        ('{"time_zone": "Europe"}', "time_zone"),
        ('{"time_zone": "/etc/passwd"}', "time_zone"),
        ('{"time_zone": "../../etc/passwd"}', "time_zone"),
        ('{"working_days": []}', "working_days"),
        ('{"working_days": ["someday"]}', "working_days"),
        ('{"holidays": ["25.12.2026"]}', "holidays"),
        ('{"late_warning_hours": -1}', "late_warning_hours"),
        ('{"stuck_days": 400}', "stuck_days"),
    ],
)
def test_unreadable_settings_name_the_key_and_not_the_value(text: str, named: str) -> None:
    with pytest.raises(ShopSettingsError, match=named) as caught:
        read_shop_settings(text)
    assert "passwd" not in str(caught.value)
    assert "Nowhere" not in str(caught.value)
