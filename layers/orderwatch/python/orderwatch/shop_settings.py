"""A shop's own settings: JSON in `<prefix>/connections/<connection_id>/settings`, every key optional."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from orderwatch.errors import OrderwatchError
from orderwatch.model import Model, describe_flaws

MAX_WARNING_HOURS = 720
MAX_STUCK_DAYS = 365
MAX_HOLIDAYS = 1000
"""Dates: a Parameter Store value of 4 KB holds some 280, an advanced one of 8 KB some 600."""


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
    """A shop's settings cannot be read: put them again (`orderwatch settings ID ...`); until then the stack's apply."""


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as `Europe/Berlin`.

    Raises:
        ValueError: There is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder of zones, a path, no such name
        raise ValueError("no time zone of the IANA database") from None


def _zone_name(value: str) -> str:
    zone_named(value)
    return value


def _lower(value: Any) -> Any:
    return [each.lower() if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


class ShopSettings(Model):
    """What a shop sets for itself; None: as the stack says.

    Attributes:
        time_zone: Its IANA name: where a day ends, and the times in messages.
        working_days: The days of the week on which its warehouse ships.
        holidays: Dates on which it does not.
        late_warning_hours: How long before the ship-by an order is told as at risk; 0: never.
        stuck_days: Business days in one status after which an order without a ship-by is told; 0: never.
    """

    model_config = ConfigDict(extra="forbid")

    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_zone_name)] | None = None
    working_days: Annotated[frozenset[Weekday], BeforeValidator(_lower), Field(min_length=1)] | None = None
    holidays: Annotated[frozenset[date], Field(max_length=MAX_HOLIDAYS)] | None = None
    late_warning_hours: Annotated[int, Field(ge=0, le=MAX_WARNING_HOURS)] | None = None
    stuck_days: Annotated[int, Field(ge=0, le=MAX_STUCK_DAYS)] | None = None


def read_shop_settings(text: str) -> ShopSettings:
    """The settings in a parameter's value.

    Raises:
        ShopSettingsError: Names each key that is wrong, without its value.
    """
    try:
        return ShopSettings.model_validate_json(text)
    except ValidationError as error:
        raise ShopSettingsError(f"the shop's settings are wrong ({describe_flaws(error)})") from None
