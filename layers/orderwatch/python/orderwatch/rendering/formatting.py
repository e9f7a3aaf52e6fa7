"""Words and figures as people read them, whatever the shop wrote: shared by every channel."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Urgency
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.calendar import is_date_only, ship_deadline
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES, has_ship_by
from orderwatch.shop_settings import time_zone

_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = "\u00ad\u200b\u2060\ufeff\ufff9\ufffa\ufffb"
_DROPPED = dict.fromkeys(map(ord, _BIDI_CONTROLS + _INVISIBLE))
_NONCHARACTERS = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\s]+")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"\x00-\x1f\x7f-\x9f]+")
MAX_LINK = 2048

_LIKENESSES = {
    "'": "\u2018\u2019\u201a\u201b\u2032",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00b7\u2022",
    "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5", "x": "\u00d7", "i": "\u0131", "l": "ł", "L": "Ł",
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "d": "đð", "D": "ĐÐ", "th": "þ",
}  # fmt: skip
_ASCII = {ord(character): ascii_ for ascii_, characters in _LIKENESSES.items() for character in characters}
"""Likenesses that decomposition does not know: typographic quotes and dashes, signs, letters without accents."""

_MINOR_UNITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
    "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
"""Decimals of the currencies that do not have two (ISO 4217)."""

_MAX_DIGITS = 30
_MAX_QUANTITY = 20
_PRECISION = 2 * _MAX_DIGITS


def storable(text: str) -> str:
    """The text without the two characters for which SNS and SQS refuse a message wherever they stand in it."""
    return text.translate(_NONCHARACTERS)


def clean(text: str) -> str:
    """The text on one line, without control, invisible and text-direction characters: those can hide or reverse it."""
    return _BREAKS.sub(" ", storable(text.translate(_DROPPED))).strip()


def clip(text: str, limit: int) -> str:
    """The text in at most `limit` characters; three dots tell that there was more."""
    return text if len(text) <= limit else f"{text[: max(limit - 3, 0)].rstrip()}..."[:limit]


def clip_middle(text: str, limit: int) -> str:
    """The text in at most `limit` characters, begin and end kept: numbers differ at their end."""
    if len(text) <= limit:
        return text
    tail = (limit - 2) // 2
    return f"{text[: limit - 2 - tail]}..{text[-tail:]}"


def ascii_fold(text: str, *, fallback: str = "?") -> str:
    """The text in printable ASCII: accents dropped, what has no likeness as one question mark.

    Args:
        text: Any text.
        fallback: What stands for a text of which no letter or digit is left.
    """
    folded = re.sub(r"[^\x20-\x7e]+", "?", _without_accents(text)).strip()
    return folded if re.search(r"[A-Za-z0-9]", folded) else fallback


def survives_folding(text: str) -> bool:
    """Whether `ascii_fold` keeps every letter and digit of the text."""
    return _without_accents(text).isascii()


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", clean(text).translate(_ASCII))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def link(url: str | None) -> str | None:
    """The address where it is one that a person can safely follow: http(s), one word, at most `MAX_LINK` characters."""
    if not url or len(url) > MAX_LINK or not _WEB_ADDRESS.fullmatch(url):
        return None
    return url if clean(url) == url else None


def quantity(amount: Decimal) -> str:
    """A count without trailing zeros: `3`, `0.5`, `1,200`; in powers of ten where that is absurdly long."""
    shown = _without_trailing_zeros(f"{amount:,f}") if _is_readable(amount) else ""
    return shown if 0 < len(shown) <= _MAX_QUANTITY else f"{amount:.6E}"


def money(amount: Decimal, currency: str | None) -> str:
    """An amount with the decimals of its currency (ISO 4217), such as `129.90 EUR`, `1,500 JPY`, `1.250 KWD`.

    An amount too small for them is shown in full: half a cent is not nothing.
    """
    unit = f" {clean(currency)}" if currency else ""
    if not _is_readable(amount):
        return f"{amount:.6E}{unit}"
    decimals = _MINOR_UNITS.get(currency or "", 2)
    with localcontext(prec=_PRECISION):
        rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if amount and not rounded:
        return f"{_without_trailing_zeros(f'{amount:f}')}{unit}"
    return f"{rounded:,f}{unit}"


def _is_readable(amount: Decimal) -> bool:
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MAX_DIGITS and (not amount or amount.adjusted() < _MAX_DIGITS)


def _without_trailing_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def duration(span: timedelta) -> str:
    """A span in its two largest units: `3 h 20 min`, `2 d 4 h`, `less than a minute`."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    days, hours = divmod(minutes // 60, 24)
    units = [(days, "d"), (hours, "h"), (minutes % 60, "min")]
    largest = next(index for index, (amount, _) in enumerate(units) if amount)
    return " ".join(f"{amount} {unit}" for amount, unit in units[largest : largest + 2] if amount)


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 order`, `5,213 orders`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def more(count: int, one: str, many: str) -> list[str]:
    """`["+5 more lines"]`, or nothing where nothing is left out."""
    return [f"+{count:,} more {one if count == 1 else many}"] if count > 0 else []


def sentence(said: str) -> str:
    """The text with a full stop, unless it ends in a mark of its own."""
    return said if said.endswith((".", "!", "?")) else f"{said}."


def lower_first(said: str) -> str:
    """The text as what follows a colon begins: its first letter small."""
    return f"{said[:1].lower()}{said[1:]}"


def upper_first(said: str) -> str:
    """The text as a sentence begins: its first letter large."""
    return f"{said[:1].upper()}{said[1:]}"


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
        return time_zone(name)
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
    if not has_ship_by(ship_by) or seen is None:
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
    if is_date_only(_aware(ship_by)):  # a day of the shop's calendar: no zone can move it
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
    return (order.ship_by for order in orders if has_ship_by(order.ship_by))
