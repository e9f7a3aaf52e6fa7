"""When something is due and how urgent that is, in the shop's own time zone and as of when the alert was seen.

No clock is asked: a message says what was visible then, and says the same however late it is sent.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Urgency
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.calendar import is_mere_date, ship_deadline
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES, is_told

_SOON = timedelta(days=1)
_HOUR = timedelta(hours=1)
_IN_HOURS = timedelta(hours=48)
"""Below it a span is told in hours, from it in days."""


class Due(NamedTuple):
    """A ship-by, as people read it.

    Attributes:
        ship_by: As the shop gave it.
        shown: `Fri 6 Mar 10:00 CET`; a day alone where the shop named no time of day.
        relative: `in 35 h`, `11 d overdue`; `11 d ago` where nobody knows whether the order has shipped.
        urgency: Of an open order; `none` for any other.
    """

    ship_by: datetime
    shown: str
    relative: str
    urgency: Urgency

    @property
    def said(self) -> str:
        """`Fri 6 Mar 10:00 CET (in 35 h)`."""
        return f"{self.shown} ({self.relative})"

    @property
    def warning(self) -> str | None:
        """`due in 20 h`, `11 d overdue`; None where there is nothing to hurry for."""
        if self.urgency is Urgency.NONE:
            return None
        return self.relative if self.urgency is Urgency.OVERDUE else f"due {self.relative}"


def zone_of(connection: AlertConnection) -> tzinfo:
    """The shop's time zone; UTC where the alert names one that is not known here (rule 11)."""
    return zone_named(connection.time_zone)


def zone_named(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC where it is not known here."""
    try:
        return clock.time_zone(name)
    except ValueError:
        return UTC


def moment(at: datetime, zone: tzinfo, *, beside: datetime | None = None) -> str:
    """A moment as people read it: `Fri 6 Mar 10:00 CET`.

    Args:
        at: A naive one is taken for UTC.
        zone: The reader's.
        beside: Of when the message speaks: the year is left out where both have the same one.
    """
    local = _local(at, zone)
    return f"{_day(local, zone, beside)} {local:%H:%M} {_zone_name(local)}"


def _day(local: datetime, zone: tzinfo, beside: datetime | None) -> str:
    year = "" if beside and _local(beside, zone).year == local.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year}"


def _local(at: datetime, zone: tzinfo) -> datetime:
    try:
        return _aware(at).astimezone(zone)
    except OverflowError:  # the first and the last day that there are
        return _aware(at)


def _zone_name(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name


def span(length: timedelta) -> str:
    """A span in its one largest unit, rounded down: `35 h`, `11 d`, `20 min`, `less than a minute`."""
    if length >= _IN_HOURS:
        return f"{length.days:,} d"
    if length >= _HOUR:
        return f"{length // _HOUR} h"
    minutes = length // timedelta(minutes=1)
    return f"{minutes} min" if minutes else "less than a minute"


def seen_at(alert: Alert) -> datetime | None:
    """Of when the alert speaks, by the vendor's clock; None for those about a connection."""
    subject = alert.order or alert.digest or alert.waiting
    return _aware(subject.seen_at) if subject and subject.seen_at else None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def due(ship_by: datetime | None, *, status: str, seen: datetime | None, zone: tzinfo) -> Due | None:
    """When an order must ship; None where the shop does not say, or it is not known of when the alert speaks."""
    if not is_told(ship_by) or seen is None:
        return None
    left = _passes_at(ship_by, zone) - _aware(seen)
    urgency = urgency_of(left, status=status)
    late = "overdue" if urgency is Urgency.OVERDUE else "ago"
    relative = f"in {span(left)}" if left >= timedelta(0) else f"{span(-left)} {late}"
    return Due(ship_by, _shown(ship_by, zone, seen), relative, urgency)


def _passes_at(ship_by: datetime, zone: tzinfo) -> datetime:
    try:
        return ship_deadline(_aware(ship_by), zone)
    except OverflowError:  # the last day that there is
        return _aware(ship_by)


def _shown(ship_by: datetime, zone: tzinfo, seen: datetime) -> str:
    if is_mere_date(_aware(ship_by)):  # a day of the shop's calendar: no zone can move it
        return _day(_aware(ship_by), UTC, seen)
    return moment(ship_by, zone, beside=seen)


def urgency_of(left: timedelta, *, status: str) -> Urgency:
    """How urgent an order is that is to ship within `left`; one that is not known to be open never is."""
    if status not in OPEN_STATUSES or left > _SOON:
        return Urgency.NONE
    return Urgency.SOON if left >= timedelta(0) else Urgency.OVERDUE


def order_due(alert: Alert) -> Due | None:
    """When the alert's one order must ship; None where it has, or was cancelled."""
    if alert.order is None or alert.order.status in FINAL_STATUSES:
        return None
    order = alert.order
    return due(order.ship_by, status=order.status, seen=order.seen_at, zone=zone_of(alert.connection))


def urgency(alert: Alert) -> Urgency:
    """The alert's urgency: a digest's is that of its most urgent order."""
    if alert.digest:
        if alert.digest.overdue:
            return Urgency.OVERDUE
        return Urgency.SOON if alert.digest.due_soon else Urgency.NONE
    known = order_due(alert)
    return known.urgency if known else Urgency.NONE


def late_hours(alert: Alert) -> Decimal | None:
    """Whole hours since the ship-by passed, of a digest the most; None where nothing is overdue."""
    if urgency(alert) is not Urgency.OVERDUE:
        return None
    seen, zone = seen_at(alert), zone_of(alert.connection)
    late = [seen - _passes_at(each, zone) for each in _ship_bys(alert)] if seen else []
    return Decimal(max(late) // _HOUR) if late else None


def _ship_bys(alert: Alert) -> Iterable[datetime]:
    orders = alert.digest.orders if alert.digest else [alert.order] if alert.order else []
    return (order.ship_by for order in orders if is_told(order.ship_by))
