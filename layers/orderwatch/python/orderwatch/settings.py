"""The settings of the functions: one frozen model for each, read from its environment."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from orderwatch.errors import SettingsError
from orderwatch.model import Model, flaws_in_words
from orderwatch.shop_settings import TimeZoneName
from orderwatch.statuses import normalize_status


def _split(value: Any) -> Any:
    return frozenset(map(normalize_status, filter(str.strip, value.split(",")))) if isinstance(value, str) else value


_Statuses = Annotated[frozenset[str], BeforeValidator(_split), Field(min_length=1, max_length=100)]
# The URL receives the API key and the tokens: http is allowed only on this machine.
_TrackstarUrl = Annotated[
    str, Field(pattern=r"^(https://|http://(127(\.[0-9]{1,3}){3}|([a-z0-9-]+\.)*localhost)(:[0-9]+)?(/|$))")
]


class _Settings(Model):
    model_config = ConfigDict(alias_generator=str.upper, validate_by_name=True)


class DispatchPollsSettings(_Settings):
    """The environment of dispatch_polls.

    Attributes:
        time_zone: Validated only, so that an unknown name fails one scheduled run instead of the polls of all shops.
    """

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    time_zone: TimeZoneName
    max_poll_gap_minutes: Annotated[int, Field(ge=1)]
    sync_minutes: Annotated[int, Field(ge=0)]
    connection_table_name: str
    poll_queue_url: str


class PollOrdersSettings(_Settings):
    """The environment of poll_orders."""

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    alert_statuses: _Statuses
    notify_recovered: bool
    baseline_days: Annotated[int, Field(ge=0)]
    stalled_after_minutes: Annotated[int, Field(ge=1)]
    sync_minutes: Annotated[int, Field(ge=0)]
    time_zone: TimeZoneName
    deadline_alerts: bool
    late_warning_hours: Annotated[int, Field(ge=0)]
    stuck_days: Annotated[int, Field(ge=0)]
    reminder_hours: Annotated[int, Field(ge=0)]
    max_reminders: Annotated[int, Field(ge=1)]
    restock_alerts: bool
    order_table_name: str
    connection_table_name: str
    alert_table_name: str
    poll_queue_url: str


class SenderSettings(_Settings):
    """The environment of every function that sends alerts.

    Attributes:
        action_url: The URL of handle_action; empty if ActionLinks is off.
    """

    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    action_url: str
    alert_table_name: str
    pace_table_name: str
    alert_topic_arn: str
    ops_topic_arn: str
    digest_threshold: Annotated[int, Field(ge=0)]


class RedriveAlertsSettings(SenderSettings):
    """The environment of redrive_alerts.

    Attributes:
        alert_email_expected: Whether AlertEmail is set. The address is personal, and the function does not need it.
        ops_email_expected: Whether OpsEmail is set.
        slack_queue_url: Empty if Slack is off.
    """

    order_table_name: str
    alert_email_expected: bool
    ops_email_expected: bool
    slack_queue_url: str


class PublishAlertsSettings(SenderSettings):
    """The environment of publish_alerts."""


class SendSummarySettings(_Settings):
    """The environment of send_summary.

    Attributes:
        stack_name: The name of the stack; part of the id of a daily summary.
        late_warning_hours: For shops that do not set it.
    """

    stack_name: str
    parameter_prefix: str
    trackstar_base_url: _TrackstarUrl
    alert_statuses: _Statuses
    stalled_after_minutes: Annotated[int, Field(ge=1)]
    time_zone: TimeZoneName
    late_warning_hours: Annotated[int, Field(ge=0)]
    order_table_name: str
    connection_table_name: str
    alert_table_name: str


class PostToSlackSettings(_Settings):
    """The environment of post_to_slack; `action_url` as for the senders."""

    parameter_prefix: str
    idempotency_table_name: str
    action_url: str


class HandleActionSettings(_Settings):
    """The environment of handle_action.

    Attributes:
        time_zone: For shops that do not set it.
        reminder_hours: For shops that do not set them.
    """

    parameter_prefix: str
    time_zone: TimeZoneName
    deadline_alerts: bool
    reminder_hours: Annotated[int, Field(ge=0)]
    order_table_name: str


def read_settings[S: Model](model: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """Read the settings of a function.

    Raises:
        SettingsError: A variable is missing or invalid. The text names it without its value.
    """
    try:
        return model.model_validate(dict(environment))
    except ValidationError as error:
        raise SettingsError(
            f"the environment of the function is invalid ({flaws_in_words(error)}): deploy template.yaml again"
        ) from None
