"""The settings: of each function one frozen model, read from its environment once; and what a shop sets for itself."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from orderwatch.errors import SettingsError
from orderwatch.model import Model
from orderwatch.shop_settings import TimeZoneName


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
    stalled_after_minutes: Annotated[int, Field(ge=1)]
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
    stalled_after_minutes: Annotated[int, Field(ge=1)]
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
