"""The time zones: those of the package tzdata on every machine, whatever the system has."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import pytest

from orderwatch.shop_settings import time_zone

_NAMES = [
    *("Europe/Berlin", "UTC", "Etc/GMT+5", "EST5EDT", "GB-Eire", "America/Argentina/ComodRivadavia", "Asia/Calcutta"),
    *("Antarctica/Troll", "Africa/Casablanca"),
]


@pytest.mark.parametrize("name", _NAMES)
def test_time_zones_of_the_iana_database_are_accepted(name: str) -> None:
    assert time_zone(name).key == name
    assert time_zone(name) is time_zone(name), "equal rules compare equal"


@pytest.mark.parametrize(
    "name",
    [
        *("localtime", "posixrules", "Factory", "right/UTC", "right/Europe/Berlin", "posix/UTC", "posix/Europe/Berlin"),
        *("", ".", " ", "UTC ", "UTC\n", "Europe", "Europe/", "europe/berlin", "EUROPE/BERLIN", "Europe\\Berlin"),
        *("/usr/share/zoneinfo/UTC", "/etc/localtime", "../UTC", "../zoneinfo/UTC", "Europe/../UTC", "./UTC"),
        *("Europe//Berlin", "tzdata.zi", "zone.tab", "leapseconds", "iso3166.tab", "__init__.py", "UTC\x00", "\ud800"),
        *("CEST", "+01:00", "UTC+1", "Mars/Olympus", "SystemV/EST5EDT", "W. Europe Standard Time"),
    ],
    ids=repr,
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone of the IANA database, such as Europe/Berlin or UTC"):
        time_zone(name)


def test_rules_are_those_of_tzdata_even_if_the_system_has_others(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia/Almaty").write_bytes(files("tzdata").joinpath("zoneinfo/America/New_York").read_bytes())
    request.addfinalizer(reset_tzpath)
    reset_tzpath([str(tmp_path)])
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert noon.astimezone(ZoneInfo.no_cache("Asia/Almaty")).hour == 7, "the system's"
    assert noon.astimezone(time_zone("Asia/Almaty")).hour == 17
