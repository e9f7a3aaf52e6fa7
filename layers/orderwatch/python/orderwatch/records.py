"""What is kept of an order's record: the snapshot in an alert, and the extract in a row that a summary tells of."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from orderwatch.alerts.parts import MAX_TEXT
from orderwatch.deadlines.rules import NO_DEADLINE, DeadlineState
from orderwatch.model import Model
from orderwatch.sanitize import one_line
from orderwatch.trackstar.fields import MAX_TEXT_LENGTH
from orderwatch.trackstar.orders import LineItem, OrderDetails, Version

MAX_EXTRACT_LINES = 20
"""Lines in the row of such an order: what a summary counts, small beside the row's 400 KB."""


class ExtractLine(Model):
    """One line of an order, as its row keeps it."""

    sku: str | None = None
    quantity: Decimal | None = None
    product_id: str | None = None


class Extract(Model):
    """What the row of an order that waits, or is at risk, keeps of its record, for a summary.

    Attributes:
        url: The order in the shop's own admin.
        currency: ISO 4217.
        total_price: In that currency.
        lines: At most `MAX_EXTRACT_LINES`.
        more_lines: Lines of the order beyond them.
    """

    url: str | None = None
    currency: str | None = None
    total_price: Decimal | None = None
    lines: tuple[ExtractLine, ...] = ()
    more_lines: int = 0

    @classmethod
    def of(cls, details: OrderDetails) -> Self:
        """What a record says."""
        listed = details.line_items[:MAX_EXTRACT_LINES]
        return cls(
            url=one_line(details.external_system_url, MAX_TEXT_LENGTH) if details.external_system_url else None,
            currency=details.invoice_currency_code,
            total_price=details.total_price,
            lines=tuple(map(_extracted, listed)),
            more_lines=len(details.line_items) - len(listed),
        )

    def to_json(self) -> str:
        """As text, in ASCII: whatever the shop wrote, DynamoDB takes it."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))

    @classmethod
    def from_json(cls, saved: str) -> Self:
        """What `to_json` gave."""
        return cls.model_validate(json.loads(saved))


def _extracted(item: LineItem) -> ExtractLine:
    sku = one_line(item.product_sku, MAX_TEXT) if item.product_sku else None
    return ExtractLine(sku=sku, quantity=item.quantity, product_id=_product_id(item))


def _product_id(item: LineItem) -> str | None:
    return item.product_id if item.product_id and len(item.product_id) <= MAX_TEXT else None


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """The last seen status of an order: its row in OrderTable.

    Attributes:
        status: As Trackstar named it.
        raw_status: The shop's own word for it.
        version: The version that showed this status last; never goes back (rule 3).
        status_since: The version that showed this status first.
        order_number: What a person knows the order by.
        needs_attention: Whether the order waited for a person when it was stored (`Policy.needs_attention`).
        changes: How many statuses of the order we saw one after the other, up to this one.
        status_alert_id: The id of the alert about this status; None where there was none (a baseline, an unwatched status).
        ship_by: When the shop is to ship it, as it said last.
        deadline_state: How it stands to its deadlines.
        extract: What a summary says of it (`Extract.to_json`); None where it neither waits nor is at risk.
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
    extract: str | None = None


class HealthState(StrEnum):
    """Whether the connection's orders can be seen."""

    HEALTHY = "healthy"
    INITIAL_SYNC = "initial_sync"
    STALE = "stale"
    BLOCKED = "blocked"
    UNAUTHORIZED = "unauthorized"
    POLL_FAILING = "poll_failing"


UNHEALTHY_STATES = [HealthState.STALE, HealthState.POLL_FAILING, HealthState.BLOCKED, HealthState.UNAUTHORIZED]
"""From the least to the worst."""


class Health(Model):
    """The state of a connection, and since when.

    Attributes:
        state: How it is.
        since: When it began, by the vendor's clock.
        detail: What happened, in words.
        healthy_checks: How many checks in a row have found the trouble gone.
    """

    state: HealthState = HealthState.HEALTHY
    since: datetime
    detail: str = ""
    healthy_checks: int = 0

    @property
    def is_unhealthy(self) -> bool:
        """Whether this state is alerted, and so its end too."""
        return self.state in UNHEALTHY_STATES
