"""The stored rows: the last seen status of an order, and the state of a connection.

`polling` and `summary` share them; the tables in `orderwatch.aws` read and write them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Self

from orderwatch.alerts.parts import MAX_TEXT, outstanding_units
from orderwatch.deadlines.rules import NO_DEADLINE, DeadlineRules, DeadlineState
from orderwatch.model import Model
from orderwatch.ownership import Ownership
from orderwatch.reading.cursor import Cursor
from orderwatch.sanitize import one_line
from orderwatch.trackstar.connections import DEFAULT_SYNC_FREQUENCY
from orderwatch.trackstar.fields import MAX_TEXT_LENGTH, RecordId, Sku
from orderwatch.trackstar.orders import OrderDetails, Version

MAX_EXTRACT_LINES = 20
"""Lines of an extract: enough for the figures of a summary, and small compared with the 400 KB of a row."""


class ExtractLine(Model):
    """One line of an order of which something is still to ship, as its row stores it.

    Attributes:
        quantity: The units that are still to ship; None: unknown.
    """

    sku: Sku = None
    quantity: Decimal | None = None
    product_id: RecordId = None


class Extract(Model):
    """The part of an order's record that the summary needs.

    A row has one while the order needs attention or is at risk.

    Attributes:
        url: The order in the shop's own admin.
        currency: ISO 4217.
        total_price: In `currency`.
        lines: The lines of which something is still to ship; at most `MAX_EXTRACT_LINES`.
        more_lines: Number of further such lines.
    """

    url: str | None = None
    currency: str | None = None
    total_price: Decimal | None = None
    lines: tuple[ExtractLine, ...] = ()
    more_lines: int = 0

    @classmethod
    def of(cls, details: OrderDetails) -> Self:
        """Extract a record."""
        units = zip(details.line_items, details.shipped_units.by_line, strict=True)
        lines = [(line, outstanding_units(line.quantity, shipped)) for line, shipped in units]
        outstanding = [(line, quantity) for line, quantity in lines if quantity != 0]
        listed = outstanding[:MAX_EXTRACT_LINES]
        values = {
            "url": one_line(details.external_system_url, MAX_TEXT_LENGTH) if details.external_system_url else None,
            "currency": details.invoice_currency_code,
            "total_price": details.total_price,
            "lines": [
                {
                    "sku": one_line(line.product_sku, MAX_TEXT) if line.product_sku else None,
                    "quantity": quantity,
                    "product_id": stored_id(line.product_id),
                }
                for line, quantity in listed
            ],
            "more_lines": len(outstanding) - len(listed),
        }
        return cls.model_validate(values)  # in one call, since a baseline extracts thousands

    def to_json(self) -> str:
        """Encode as ASCII, which DynamoDB always accepts."""
        return self.model_dump_json(exclude_defaults=True, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Decode the result of `to_json`."""
        return cls.model_validate(json.loads(text))


def stored_id(given: str | None) -> str | None:
    """The id of a product or a warehouse; None if it is missing or too long to be stored."""
    return given if given and len(given) <= MAX_TEXT else None


READINGS_TO_BELIEVE = 3
"""Consecutive readings that must show an older copy before it is current (rule 3)."""


class OlderCopy(NamedTuple):
    """A copy of an order that is dated before the stored version, and would change its status or its deadlines.

    Attributes:
        status: Its status.
        readings: Number of consecutive readings that showed it.
        last_reading: The last of them.
    """

    status: str
    readings: int
    last_reading: datetime


class StoredOrder(NamedTuple):
    """The last seen status of an order: its row in OrderTable. A tuple, since a poll builds thousands.

    Attributes:
        status: Trackstar's name of the status.
        raw_status: The shop's own name of the status.
        version: The latest version with this status; never goes back (rule 3).
        status_since: The date of the first version with this status.
        order_number: The number that people use for the order.
        needs_attention: Whether the order needed attention when it was stored (`Policy.needs_attention`).
        changes: Number of consecutive statuses seen, this one included.
        status_alert_id: The id of the alert about this status; None if there was none (baseline, unwatched status).
        ship_by: The ship-by date.
        deadline_state: The order's next deadline and reminder, and the latest deadline that passed.
        deadline_rules: The fingerprint of the rules that gave this state; None: it must be evaluated again.
        extract: The encoded `Extract`; None if the order neither needs attention nor is at risk.
        older_copy: The older copy that the last readings showed instead, if any.
        restocked_at: For a backordered order: the end of the products' sync that showed everything in stock, as alerted
            or recorded by the baseline (rule 23); None: not yet in this backorder.
        ownership: Who works on the order, while it needs attention in this status (rule 24).
    """

    status: str
    raw_status: str | None
    version: Version
    status_since: datetime
    order_number: str
    needs_attention: bool
    changes: int = 1
    status_alert_id: str | None = None
    ship_by: datetime | None = None
    deadline_state: DeadlineState = NO_DEADLINE
    deadline_rules: str | None = None
    extract: str | None = None
    older_copy: OlderCopy | None = None
    restocked_at: datetime | None = None
    ownership: Ownership | None = None

    @property
    def has_left_problem(self) -> bool:
        """Whether it needs no attention, and nothing that is wrong with its status was alerted."""
        return not self.needs_attention and self.status_alert_id is None

    def is_counted(self, reading: datetime) -> bool:
        """Whether this reading, or a later one, has counted an older copy already."""
        return self.older_copy is not None and self.older_copy.last_reading >= reading

    def with_older_copy(self, status: str, reading: datetime) -> Self:
        """The row after one more reading that showed an older copy in this status."""
        known = self.older_copy
        readings = known.readings + 1 if known and known.status == status else 1
        return self._replace(older_copy=OlderCopy(status, readings, reading))

    def without_attention(self) -> Self:
        """The row of an order that Trackstar no longer has; if it returns, its deadlines are evaluated again."""
        state = self.deadline_state._replace(due=None, reminder_at=None)
        return self._replace(needs_attention=False, deadline_state=state, deadline_rules=None, ownership=None)

    def with_ownership(self, ownership: Ownership | None, rules: DeadlineRules | None, *, at: datetime) -> Self:
        """The row after somebody took, snoozed or released the order: its reminders are counted from then.

        Args:
            ownership: Who works on it now.
            rules: The rules of its shop; None: deadlines are not watched.
            at: When that happened.
        """
        reminder_at = rules.next_reminder(ownership, after=at) if rules else None
        state = self.deadline_state._replace(reminder_at=reminder_at, reminders=0)
        return self._replace(ownership=ownership, deadline_state=state)


class HealthState(StrEnum):
    """Whether the orders of a connection are visible."""

    HEALTHY = "healthy"
    INITIAL_SYNC = "initial_sync"
    STALE = "stale"
    BLOCKED = "blocked"
    UNAUTHORIZED = "unauthorized"
    POLL_FAILING = "poll_failing"


UNHEALTHY_STATES = [HealthState.STALE, HealthState.POLL_FAILING, HealthState.BLOCKED, HealthState.UNAUTHORIZED]
"""The states that are alerted, the most severe last."""


class Secret(StrEnum):
    """A secret that Trackstar can refuse: the API key of all shops, or the access token of one."""

    API_KEY = "api_key"
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of the secret


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a connection.

    Attributes:
        since: When the state began, by the vendor's clock.
        state: The current state.
        detail: What happened, in words.
        refused: The secret that Trackstar refuses; None if it refuses none, or if that is unknown.
        healthy_checks: Number of consecutive checks that found an unhealthy connection healthy.
        suspected: The state that follows if the next poll is refused too; None if the last one was not refused.
    """

    since: datetime
    state: HealthState = HealthState.HEALTHY
    detail: str = ""
    refused: Secret | None = None
    healthy_checks: int = 0
    suspected: HealthState | None = None

    @property
    def is_unhealthy(self) -> bool:
        """Whether the state is alerted when it begins and when it ends."""
        return self.state in UNHEALTHY_STATES

    @property
    def is_key_refused(self) -> bool:
        """Whether Trackstar refuses the API key, which is alerted once for all shops."""
        return self.refused is Secret.API_KEY

    def is_same_problem(self, other: Self) -> bool:
        """Whether both have the same state, and refuse the same secret as far as the other one shows it."""
        return self.state is other.state and other.refused in {None, self.refused}


@dataclass(frozen=True, slots=True)
class Syncs:
    """Trackstar's syncs of a connection.

    Attributes:
        frequency: How often Trackstar pulls the orders from the shop.
        last_end: When the last sync ended, by the vendor's clock; None if unknown.
        requested_at: When a sync was last requested, by our clock.
        refused_at: When Trackstar last refused such a request, by our clock.
        products_end: The end of the sync of products that was looked at last; None before the first look (rule 23).
    """

    frequency: timedelta = DEFAULT_SYNC_FREQUENCY
    last_end: datetime | None = None
    requested_at: datetime | None = None
    refused_at: datetime | None = None
    products_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """A connection's row in ConnectionTable: everything that one poll passes on to the next.

    Attributes:
        connection_id: Trackstar's id of the connection.
        revision: Version of the row. A write is conditional on the revision that was read, and increments it.
        integration: Trackstar's name of the integration.
        cursor: What has been read, and where the next poll continues.
        syncs: Trackstar's syncs of the orders.
        health: Whether the orders are visible; None before the first check.
        other_statuses: Undocumented statuses that orders of the connection have had, in the order of their discovery.
        reported_other_statuses: How many of these were reported to the operators (rule 9).
        reported_statuses: Watched statuses that were reported to the operators as unknown.
        are_products_blocked: Whether the products alone are not synced, as reported to the operators.
        settings_flaw: Why the shop's own settings are invalid, as reported to the operators.
        quarantined: Why a record is invalid, by order id, as reported to the operators (rule 9).
        unreadable: The fields with a value that cannot be read, as reported to the operators (rule 21).
        disconnected_at: Our clock when the connection lost its access token; None while it is watched. The cursor stays
            for a reconnection.
    """

    connection_id: str
    revision: int = 0
    integration: str | None = None
    cursor: Cursor = field(default_factory=Cursor)
    syncs: Syncs = field(default_factory=Syncs)
    health: Health | None = None
    other_statuses: tuple[str, ...] = ()
    reported_other_statuses: int = 0
    reported_statuses: tuple[str, ...] = ()
    are_products_blocked: bool = False
    settings_flaw: str | None = None
    quarantined: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    disconnected_at: datetime | None = None

    @property
    def is_watched(self) -> bool:
        """Whether the row makes the connection a watched one: it exists and was not disconnected."""
        return self.revision > 0 and self.disconnected_at is None

    @property
    def is_poll_failing(self) -> bool:
        """Whether `connection.poll_failing` was alerted and no window has been read to its end since."""
        if self.health is None or self.health.state is not HealthState.POLL_FAILING:
            return False
        last_success_at = self.cursor.last_success_at
        return last_success_at is None or last_success_at < self.health.since

    def committed(self) -> Self:
        """This state after it was written."""
        return replace(self, revision=self.revision + 1)
