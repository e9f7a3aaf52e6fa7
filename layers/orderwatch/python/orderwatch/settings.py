"""The settings: of each function one frozen model, read from its environment once; and what a shop sets for itself."""

import os
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from orderwatch import clock
from orderwatch.errors import OrderwatchError, SettingsError
from orderwatch.model import Model


def _existing_zone(name: str) -> str:
    clock.time_zone(name)
    return name


TimeZoneName = Annotated[str, Field(max_length=64), AfterValidator(_existing_zone)]
"""A time zone that exists, by its IANA name."""


def _lower(value: Any) -> Any:
    return [each.lower() if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


# Key and tokens go there: in the clear to this machine alone.
_TrackstarUrl = Annotated[
    str, Field(pattern=r"^(https://|http://(127(\.[0-9]{1,3}){3}|([a-z0-9-]+\.)*localhost)(:[0-9]+)?(/|$))")
]


class _Settings(Model):
    model_config = ConfigDict(alias_generator=str.upper, validate_by_name=True)


class DispatchPollsSettings(_Settings):
    """What dispatch_polls reads from its environment.

    Attributes:
        time_zone: Not needed here: a name that does not exist is refused at the first tick, once for all shops.
    """

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    time_zone: TimeZoneName
    max_poll_gap_minutes: Annotated[int, Field(ge=1)]
    sync_minutes: Annotated[int, Field(ge=0)]
    connection_table_name: str
    poll_queue_url: str


class PollOrdersSettings(_Settings):
    """What poll_orders reads from its environment."""

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    alert_statuses: Annotated[frozenset[str], BeforeValidator(_listed), Field(min_length=1, max_length=100)]
    notify_recovered: bool
    baseline_days: Annotated[int, Field(ge=0)]
    silence_minutes: Annotated[int, Field(ge=1)]
    sync_minutes: Annotated[int, Field(ge=0)]
    time_zone: TimeZoneName
    deadline_alerts: bool
    late_warning_hours: Annotated[int, Field(ge=0)]
    stuck_days: Annotated[int, Field(ge=0)]
    order_table_name: str
    connection_table_name: str
    alert_table_name: str
    poll_queue_url: str


class SenderSettings(_Settings):
    """What every function that sends alerts reads from its environment."""

    alert_table_name: str
    pace_table_name: str
    alert_topic_arn: str
    ops_topic_arn: str
    digest_threshold: Annotated[int, Field(ge=0)]


class RedriveAlertsSettings(SenderSettings):
    """What redrive_alerts reads from its environment.

    Attributes:
        alert_email_expected: Whether AlertEmail is set. The address itself is personal and not needed here.
        ops_email_expected: Whether OpsEmail is set.
        slack_queue_url: Empty where Slack is off.
    """

    connection_table_name: str
    alert_email_expected: bool
    ops_email_expected: bool
    slack_queue_url: str


class PublishAlertsSettings(SenderSettings):
    """What publish_alerts reads from its environment."""

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl


class SendSummarySettings(_Settings):
    """What send_summary reads from its environment.

    Attributes:
        stack_name: Part of the id of a day's summary.
        late_warning_hours: Of shops that set none of their own.
    """

    stack_name: str
    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    alert_statuses: Annotated[frozenset[str], BeforeValidator(_listed), Field(min_length=1, max_length=100)]
    silence_minutes: Annotated[int, Field(ge=1)]
    time_zone: TimeZoneName
    late_warning_hours: Annotated[int, Field(ge=0)]
    order_table_name: str
    connection_table_name: str
    alert_table_name: str


class PostToSlackSettings(_Settings):
    """What post_to_slack reads from its environment."""

    parameter_prefix: str
    idempotency_table_name: str


def read_settings[S: Model](model: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """Read a function's settings.

    Raises:
        SettingsError: Names each variable that is missing or wrong, without its value.
    """
    try:
        return model.model_validate(dict(environment))
    except ValidationError as error:
        flaws = "; ".join(f"{flaw['loc'][0]}: {flaw['msg']}" for flaw in error.errors(include_input=False))
        raise SettingsError(f"the function's environment is wrong ({flaws}): deploy template.yaml again") from None


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

    time_zone: TimeZoneName | None = None
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
        raise ShopSettingsError(flaws_of(error)) from None


def flaws_of(error: ValidationError) -> str:
    """Which key is wrong and why, without its value."""
    flaws = error.errors(include_url=False, include_input=False)
    return "; ".join(
        f"{flaw['loc'][0]}: {flaw['msg'].removeprefix('Value error, ')}" if flaw["loc"] else "no JSON object"
        for flaw in flaws
    )
