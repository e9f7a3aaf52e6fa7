"""`orderwatch settings`."""

import json
import re
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.shop_settings import read_shop_settings
from orderwatch_cli.commands.settings import holidays_of
from orderwatch_cli.parameters import SettingsError
from tests.support.operated import CONNECTION, TOKEN, Operated

PARAMETER = f"connections/{CONNECTION}/settings"


@pytest.fixture
def connected(operated: Operated) -> Operated:
    operated.connect(CONNECTION, TOKEN)
    operated.put(f"connections/{CONNECTION}/name", "Nordic Outdoor")
    return operated


def stored(operated: Operated) -> Any:
    kind, value = operated.parameters().get(PARAMETER, ("String", "null"))
    assert kind == "String"
    return json.loads(value)


def test_settings_are_set_one_by_one_and_removed(connected: Operated) -> None:
    ran = connected.run("settings", CONNECTION, "--time-zone", "Europe/Berlin", "--working-days", "sat,mon")
    assert (ran.code, ran.err) == (0, "")
    assert stored(connected) == {"time_zone": "Europe/Berlin", "working_days": ["mon", "sat"]}
    connected.run("settings", CONNECTION, "--late-warning-hours", "0", "--stuck-days", "2")
    shown = connected.json("settings", CONNECTION)
    assert shown == stored(connected)
    assert (shown["time_zone"], shown["late_warning_hours"], shown["stuck_days"]) == ("Europe/Berlin", 0, 2)
    assert connected.run("settings", CONNECTION, "--remove").code == 0
    assert stored(connected) is None


def test_settings_are_shown_as_a_table_with_those_of_the_stack(connected: Operated) -> None:
    connected.describe(TimeZone="Europe/Vienna", StuckDays="3")

    def shown() -> list[list[str]]:
        ran = connected.run("settings", CONNECTION)
        assert (ran.code, ran.err) == (0, "")
        title, *lines = ran.out.splitlines()
        assert title == f"Nordic Outdoor ({CONNECTION})"
        return [re.split(r" {2,}", line.strip()) for line in lines]

    working_days = ["working days", "mon, tue, wed, thu, fri"]
    warehouses = ["warehouses", "as Trackstar names them", "Trackstar"]
    reminders = ["reminder hours", "0", "stack"]
    rest = [["late warning hours", "24", "stack"], ["stuck days", "3", "stack"], reminders, warehouses]
    zone, holidays = ["time zone", "Europe/Vienna", "stack"], ["holidays", "none", "stack"]
    headings = ["setting", "value", "set by"]
    assert shown() == [headings, zone, [*working_days, "stack"], holidays, *rest]
    connected.run(
        "settings", CONNECTION, "--time-zone", "Europe/Berlin", "--holiday", "2026-12-24", "--stuck-days", "0"
    )
    own = [["time zone", "Europe/Berlin", "shop"], [*working_days, "stack"], ["holidays", "2026-12-24", "shop"]]
    assert shown() == [headings, *own, rest[0], ["stuck days", "0", "shop"], reminders, warehouses]
    connected.run("settings", CONNECTION, "--warehouse", "wh_1=Hamburg", "--warehouse", "wh_2=Lyon Sud")
    assert shown()[-1] == ["warehouses", "wh_1=Hamburg, wh_2=Lyon Sud", "shop"]


def test_holidays_of_this_year_and_the_next(connected: Operated) -> None:
    connected.run("settings", CONNECTION, "--holidays-of", "DE", "--holiday", "2026-12-24")
    days, year = stored(connected)["holidays"], clock.now().year
    assert {f"{year}-10-03", f"{year + 1}-10-03", "2026-12-24"} <= set(days)
    assert days == sorted(days)
    connected.run("settings", CONNECTION, "--holiday", "2026-12-31")
    assert set(stored(connected)["holidays"]) == {*days, "2026-12-31"}
    read_shop_settings(json.dumps(stored(connected)))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["wh_3=Köln"], {"wh_1": "Hamburg", "wh_2": "Lyon", "wh_3": "Köln"}),
        (["wh_1= Hamburg Nord ", "wh_2="], {"wh_1": "Hamburg Nord"}),
        (["wh_3="], {"wh_1": "Hamburg", "wh_2": "Lyon"}),
        (["wh_1=A=B"], {"wh_1": "A=B", "wh_2": "Lyon"}),
        (["wh_1=", "wh_2="], None),
        (["wh_1=", "wh_1=Hamburg Nord"], {"wh_1": "Hamburg Nord", "wh_2": "Lyon"}),
    ],
)
def test_warehouses_are_named_one_by_one(connected: Operated, given: list[str], names: dict[str, str] | None) -> None:
    connected.put(PARAMETER, '{"stuck_days": 2, "warehouses": {"wh_1": "Hamburg", "wh_2": "Lyon"}}')
    ran = connected.run("settings", CONNECTION, *(word for each in given for word in ("--warehouse", each)))
    assert (ran.code, ran.err) == (0, "")
    assert stored(connected) == {"stuck_days": 2} | ({"warehouses": names} if names else {})


def test_settings_that_fit_no_parameter_are_not_stored(connected: Operated) -> None:
    names = [f"warehouse-with-a-long-id-{number}={'x' * 60}" for number in range(60)]
    ran = connected.run("settings", CONNECTION, *(word for each in names for word in ("--warehouse", each)))
    assert ran.code == 1
    assert "characters, and a parameter holds 4096: set fewer holidays or warehouses" in ran.err
    assert stored(connected) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--time-zone", "Europe/Nowhere"), "time_zone"),
        (("--working-days", "someday"), "working_days"),
        (("--working-days", "mon,mo"), "working_days: must be one of 'mon', "),
        (("--late-warning-hours", "-1"), "not valid: late_warning_hours: must be at least 0; nothing was stored"),
        (("--stuck-days", "366"), "stuck_days: must be at most 365"),
        (("--holiday", "24.12.2026"), "not valid: holidays: must be a date such as 2026-12-24; nothing was stored"),
        (("--warehouse", "Hamburg"), "--warehouse 'Hamburg' is not ID=NAME, such as wh_01HZX=Hamburg"),
        (("--warehouse", "=Hamburg"), "--warehouse '=Hamburg' is not ID=NAME"),
        (("--warehouse", f"wh_1={'x' * 81}"), "not valid: warehouses: has more than 80 characters; nothing was stored"),
        (("--holidays-of", "Atlantis"), "the holidays of 'Atlantis' are unknown"),
    ],
)
def test_invalid_settings_are_not_stored(connected: Operated, arguments: tuple[str, ...], message: str) -> None:
    ran = connected.run("settings", CONNECTION, *arguments)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert message in ran.err
    assert stored(connected) is None


def test_unreadable_settings_can_be_deleted(connected: Operated) -> None:
    connected.put(PARAMETER, "{oops")
    ran = connected.run("settings", CONNECTION, "--stuck-days", "1")
    assert (ran.code, "--remove" in ran.err) == (1, True)
    assert connected.run("settings", CONNECTION, "--remove").code == 0


def test_unconnected_shop_has_no_settings(connected: Operated) -> None:
    ran = connected.run("settings", "conn_gone", "--stuck-days", "1")
    assert ran.code == 1
    assert ran.err.startswith("orderwatch: no shop conn_gone is connected; list the shops with: orderwatch shops")


def test_regions_have_holidays_of_their_own() -> None:
    of_bavaria, of_germany = (holidays_of([place], years=[2026]) for place in ("DE-BY", "de"))
    assert of_germany < of_bavaria
    with pytest.raises(SettingsError, match="DE-XX"):
        holidays_of(["DE-XX"], years=[2026])
