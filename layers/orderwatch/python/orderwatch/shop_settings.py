"""The settings that a shop can override."""

import re
from datetime import date, time
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from orderwatch.errors import OrderwatchError
from orderwatch.model import Model, in_words
from orderwatch.sanitize import one_line


def _existing_zone(name: str) -> str:
    time_zone(name)
    return name


TimeZoneName = Annotated[str, Field(max_length=64), AfterValidator(_existing_zone)]
"""The IANA name of an existing time zone."""


def _lower(value: Any) -> Any:
    return [each.lower() if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


def _one_line(text: str) -> str:
    if text != one_line(text, len(text)):
        raise ValueError("must be one line without control characters")
    return text


class QuietTimes(NamedTuple):
    """A shop's quiet hours as they are written.

    Attributes:
        start: When they begin, by the shop's wall clock.
        end: When they end; on the next day if it is earlier than the start.
        on_working_days: Whether only those that begin on a working day apply.
    """

    start: time
    end: time
    on_working_days: bool


_QUIET_HOURS = re.compile(r"\s*(\d\d?:\d\d)\s*-\s*(\d\d?:\d\d)(\s+working days)?\s*", re.ASCII | re.IGNORECASE)
_QUIET_HOURS_FORM = 'must be written like 20:00-07:00 or "20:00-07:00 working days"'


def read_quiet_hours(text: str) -> QuietTimes:
    """Parse quiet hours such as `20:00-07:00` (every day) or `20:00-07:00 working days`.

    Raises:
        ValueError: The text has another form, or they begin and end at the same time.
    """
    found = _QUIET_HOURS.fullmatch(text)
    if found is None:
        raise ValueError(_QUIET_HOURS_FORM)
    try:
        start, end = time.fromisoformat(found[1].zfill(5)), time.fromisoformat(found[2].zfill(5))
    except ValueError:
        raise ValueError(_QUIET_HOURS_FORM) from None
    if start == end:
        raise ValueError("must begin and end at different times")
    return QuietTimes(start, end, on_working_days=found[3] is not None)


def _normal_quiet_hours(text: str) -> str:
    start, end, on_working_days = read_quiet_hours(text)
    return f"{start:%H:%M}-{end:%H:%M}{' working days' * on_working_days}"


QuietHoursText = Annotated[str, Field(max_length=64), AfterValidator(_normal_quiet_hours)]
"""Valid quiet hours, as `read_quiet_hours` parses them."""

MAX_WARNING_HOURS = 720
MAX_STUCK_DAYS = 365
MAX_REMINDER_HOURS = 720
MAX_HOLIDAYS = 1000
"""Dates. A Parameter Store value of 4 KB holds about 280, an advanced one of 8 KB about 600."""

MAX_WAREHOUSES = 200
"""Names. A Parameter Store value of 4 KB holds about 100."""
WarehouseId = Annotated[str, StringConstraints(min_length=1, max_length=160)]
WarehouseName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(_one_line)
]


class Weekday(StrEnum):
    """A day of the week, in the order of `date.weekday()`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


WEEKDAYS = tuple(Weekday)
DEFAULT_WORKING_DAYS = frozenset(WEEKDAYS[:5])


class ShopSettingsError(OrderwatchError):
    """A shop's settings are invalid: store them again (`orderwatch settings ID ...`). Until then the stack's apply."""


class ShopSettings(Model):
    """A shop's own settings. The stack's value applies where one is None.

    Attributes:
        time_zone: The IANA name of the zone in which its days end, and of the times in its messages.
        working_days: The days of the week on which its warehouse ships.
        holidays: Dates on which its warehouse does not ship.
        late_warning_hours: Hours before the ship-by at which an order is at risk; 0: never.
        stuck_days: Business days in one status after which an order without a ship-by is stuck; 0: never.
        reminder_hours: Business hours after which an order that still needs attention is alerted again; 0: never.
        quiet_hours: When alerts about orders wait unless they are critical, such as `20:00-07:00`.
        warehouses: Names of its warehouses, by id. Trackstar's name applies to a warehouse that is not here.
    """

    model_config = ConfigDict(extra="forbid")

    time_zone: TimeZoneName | None = None
    working_days: Annotated[frozenset[Weekday], BeforeValidator(_lower), Field(min_length=1)] | None = None
    holidays: Annotated[frozenset[date], Field(max_length=MAX_HOLIDAYS)] | None = None
    late_warning_hours: Annotated[int, Field(ge=0, le=MAX_WARNING_HOURS)] | None = None
    stuck_days: Annotated[int, Field(ge=0, le=MAX_STUCK_DAYS)] | None = None
    reminder_hours: Annotated[int, Field(ge=0, le=MAX_REMINDER_HOURS)] | None = None
    quiet_hours: QuietHoursText | None = None
    warehouses: Annotated[dict[WarehouseId, WarehouseName], Field(max_length=MAX_WAREHOUSES)] | None = None


def read_shop_settings(text: str) -> ShopSettings:
    """Parse the settings in a parameter's value.

    Raises:
        ShopSettingsError: The settings are invalid. The text names each invalid key, without its value.
    """
    try:
        return ShopSettings.model_validate_json(text)
    except ValidationError as error:
        raise ShopSettingsError(flaws_of(error)) from None


def flaws_of(error: ValidationError) -> str:
    """Describe which keys are invalid and why, without their values."""
    flaws = error.errors(include_url=False, include_input=False)
    described = (f"{flaw['loc'][0]}: {in_words(flaw)}" if flaw["loc"] else "no JSON object" for flaw in flaws)
    return "; ".join(dict.fromkeys(described))


@cache
def time_zone(name: str) -> ZoneInfo:
    """The time zone with this IANA name, from the package `tzdata`: every machine accepts the same names.

    A system's own data has other rules, names such as `localtime`, and on some disks names in any case.

    Raises:
        ValueError: No time zone has this name.
    """
    if name not in _zone_names():
        raise ValueError("no time zone of the IANA database, such as Europe/Berlin or UTC")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, name)


@cache
def _zone_names() -> frozenset[str]:
    names = files("tzdata").joinpath("zones").read_text("utf-8")
    return frozenset(names.split()) - {"Factory"}  # the database's entry for a zone that was never set
