"""`orderwatch settings` on a stack of the local cloud."""

import json
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.shop_settings import read_shop_settings
from orderwatch_cli.shop_settings import SettingsError, holidays_of
from tests.support.operated import API_KEY, CONNECTION, TOKEN, Operated


@pytest.fixture
def connected(operated: Operated) -> Operated:
    operated.cloud.put_secret(f"/{operated.name}/trackstar/api-key", API_KEY)
    operated.run("connect", CONNECTION, stdin=TOKEN)
    return operated


def stored(operated: Operated) -> Any:
    name = f"/{operated.name}/connections/{CONNECTION}/settings"
    ssm = operated.cloud.client("ssm")
    try:
        parameter = ssm.get_parameter(Name=name)["Parameter"]
    except ssm.exceptions.ParameterNotFound:
        return None
    assert parameter["Type"] == "String"
    return json.loads(parameter["Value"])


def test_a_shop_gets_settings_of_its_own_one_after_the_other_and_loses_them(connected: Operated) -> None:
    assert "the stack's apply" in connected.run("settings", CONNECTION).out
    ran = connected.run("settings", CONNECTION, "--time-zone", "Europe/Berlin", "--working-days", "sat,mon")
    assert (ran.code, ran.err) == (0, "")
    assert stored(connected) == {"time_zone": "Europe/Berlin", "working_days": ["mon", "sat"]}
    connected.run("settings", CONNECTION, "--late-warning-hours", "0", "--stuck-days", "2")
    shown = json.loads(connected.run("settings", CONNECTION, "--json").out)
    assert shown == stored(connected)
    assert (shown["time_zone"], shown["late_warning_hours"], shown["stuck_days"]) == ("Europe/Berlin", 0, 2)
    assert connected.run("settings", CONNECTION, "--remove").code == 0
    assert stored(connected) is None


def test_holidays_are_those_of_the_place_for_this_year_and_the_next(connected: Operated) -> None:
    connected.run("settings", CONNECTION, "--holidays-of", "DE", "--holiday", "2026-12-24")
    days, year = stored(connected)["holidays"], clock.now().year
    assert {f"{year}-10-03", f"{year + 1}-10-03", "2026-12-24"} <= set(days)
    assert days == sorted(days)
    connected.run("settings", CONNECTION, "--holiday", "2026-12-31")
    assert set(stored(connected)["holidays"]) == {*days, "2026-12-31"}
    read_shop_settings(json.dumps(stored(connected)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--time-zone", "Europe/Nowhere"), "time_zone"),
        (("--working-days", "someday"), "working_days"),
        (("--late-warning-hours", "-1"), "late_warning_hours"),
        (("--holiday", "24.12.2026"), "holidays"),
        (("--holidays-of", "Atlantis"), "the holidays of 'Atlantis' are not known"),
    ],
)
def test_what_cannot_be_used_is_not_stored(connected: Operated, arguments: tuple[str, ...], says: str) -> None:
    ran = connected.run("settings", CONNECTION, *arguments)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert says in ran.err
    assert stored(connected) is None


def test_settings_that_cannot_be_read_are_shown_as_such_and_can_be_deleted(connected: Operated) -> None:
    name = f"/{connected.name}/connections/{CONNECTION}/settings"
    connected.cloud.client("ssm").put_parameter(Name=name, Value="{oops", Type="String")
    ran = connected.run("settings", CONNECTION, "--stuck-days", "1")
    assert (ran.code, "--remove" in ran.err) == (1, True)
    assert connected.run("settings", CONNECTION, "--remove").code == 0


def test_a_shop_that_is_not_connected_has_no_settings(connected: Operated) -> None:
    ran = connected.run("settings", "conn_gone", "--stuck-days", "1")
    assert (ran.code, ran.err) == (1, "orderwatch: no shop conn_gone is connected: `orderwatch shops` lists them\n")


def test_parts_of_a_country_have_holidays_of_their_own() -> None:
    of_bavaria, of_germany = (holidays_of([place], years=[2026]) for place in ("DE-BY", "de"))
    assert of_germany < of_bavaria
    with pytest.raises(SettingsError, match="DE-XX"):
        holidays_of(["DE-XX"], years=[2026])
