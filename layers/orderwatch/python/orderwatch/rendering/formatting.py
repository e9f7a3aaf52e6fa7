"""Text, numbers, names and dates as every channel shows them, whatever the shop wrote."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import NamedTuple

from orderwatch.alerts import kinds
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_LATE, Urgency
from orderwatch.alerts.parts import MAX_TEXT, AlertConnection, AlertOrder, ListedOrder
from orderwatch.alerts.summary import ShopSummary
from orderwatch.clock import duration
from orderwatch.deadlines.calendar import date_only, ship_deadline
from orderwatch.rendering import reasons
from orderwatch.sanitize import one_line
from orderwatch.shop_settings import time_zone
from orderwatch.statuses import FINAL_STATUSES, OPEN_STATUSES, normalize_status

_NONCHARACTERS = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"\x00-\x1f\x7f-\x9f]+")
MAX_LINK = 2048
MAX_CURRENCIES = 5
"""Maximum number of currencies in a list of amounts."""

_LIKENESSES = {
    "'": "\u2018\u2019\u201a\u201b\u2032",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00b7\u2022",
    "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5", "x": "\u00d7", "i": "\u0131", "l": "ł", "L": "Ł",
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "d": "đð", "D": "ĐÐ", "th": "þ",
}  # fmt: skip
_ASCII = {ord(character): ascii_ for ascii_, characters in _LIKENESSES.items() for character in characters}
"""ASCII replacements for characters that Unicode does not decompose: quotes, dashes, signs, some letters."""

_MINOR_UNITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
    "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
"""Decimals of the currencies that do not have two decimals (ISO 4217)."""

_MAX_DIGITS = 30
_MAX_QUANTITY = 20
_PRECISION = 2 * _MAX_DIGITS


def without_noncharacters(text: str) -> str:
    """The text without the two characters that make SNS and SQS refuse a whole message."""
    return text.translate(_NONCHARACTERS)


def clean(text: str) -> str:
    """The text on one line, without control, invisible and text-direction characters and with single spaces."""
    return " ".join(one_line(text, len(text)).split())


def clip(text: str, limit: int) -> str:
    """The text in at most `limit` characters; three dots mark a cut."""
    return text if len(text) <= limit else f"{text[: max(limit - 3, 0)].rstrip()}..."[:limit]


def clip_middle(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut in the middle: order numbers differ at their end."""
    if len(text) <= limit:
        return text
    tail = (limit - 2) // 2
    return f"{text[: limit - 2 - tail]}..{text[-tail:]}"


def ascii_fold(text: str, *, fallback: str = "?") -> str:
    """The text in printable ASCII: without accents, and a question mark for anything that has no replacement.

    Args:
        text: Any text.
        fallback: The result if no letter or digit remains.
    """
    folded = re.sub(r"[^\x20-\x7e]+", "?", _without_accents(text)).strip()
    return folded if re.search(r"[A-Za-z0-9]", folded) else fallback


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", clean(text).translate(_ASCII))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def link(url: str | None) -> str | None:
    """The URL if it is safe to show as a link: http(s), one word, at most `MAX_LINK` characters; otherwise None."""
    if not url or len(url) > MAX_LINK or not _WEB_ADDRESS.fullmatch(url):
        return None
    return url if clean(url) == url else None


def quantity(amount: Decimal) -> str:
    """A number without trailing zeros: `3`, `0.5`, `1,200`; in scientific notation if that is too long."""
    amount = _unsigned_zero(amount)
    shown = _without_trailing_zeros(f"{amount:,f}") if _is_readable(amount) else ""
    return shown if 0 < len(shown) <= _MAX_QUANTITY else f"{amount:.6E}"


def money(amount: Decimal, currency: str | None, *, with_unit: bool = True) -> str:
    """An amount with the decimals of its currency (ISO 4217), such as `129.90 EUR`, `1,500 JPY`, `1.250 KWD`.

    An amount that would round to zero is shown in full. `with_unit` says whether the currency is named.
    """
    unit = f" {clean(currency)}" if currency and with_unit else ""
    amount = _unsigned_zero(amount)
    if not _is_readable(amount):
        return f"{amount:.6E}{unit}"
    decimals = _MINOR_UNITS.get(currency or "", 2)
    with localcontext(prec=_PRECISION):
        rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if amount and not rounded:
        return f"{_without_trailing_zeros(f'{amount:f}')}{unit}"
    return f"{rounded:,f}{unit}"


def _unsigned_zero(amount: Decimal) -> Decimal:
    return amount or Decimal(0)


def _is_readable(amount: Decimal) -> bool:
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MAX_DIGITS and (not amount or amount.adjusted() < _MAX_DIGITS)


def _without_trailing_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def amounts(by_currency: Mapping[str, Decimal]) -> str | None:
    """Amounts in several currencies: `1,078.40 EUR, 20.00 USD`; None if there are none."""
    shown = [money(amount, currency) for currency, amount in sorted(by_currency.items())[:MAX_CURRENCIES]]
    return ", ".join(shown + more(len(by_currency) - len(shown), "currency", "currencies")) or None


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 order`, `5,213 orders`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def more(count: int, one: str, many: str) -> list[str]:
    """`["+5 more lines"]`; empty if nothing is left out."""
    return [f"+{count:,} more {one if count == 1 else many}"] if count > 0 else []


def sentence(text: str) -> str:
    """The text with a full stop, unless it already ends in a punctuation mark."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def lower_first(text: str) -> str:
    """The text with a lower-case first letter, as after a colon."""
    return f"{text[:1].lower()}{text[1:]}"


def upper_first(text: str) -> str:
    """The text with an upper-case first letter, as at the start of a sentence."""
    return f"{text[:1].upper()}{text[1:]}"


def shop_name(connection: AlertConnection) -> str:
    """The name of the shop; its id if it has no visible name."""
    return clip(clean(connection.label) or clean(connection.id) or "unnamed shop", MAX_TEXT)


def shop_name_in_ascii(connection: AlertConnection) -> str:
    """The name of the shop in ASCII; its id if ASCII can show nothing of the name."""
    return ascii_fold(shop_name(connection), fallback=ascii_fold(connection.id))


def order_number(order: AlertOrder | ListedOrder) -> str:
    """The order number with a hash sign, such as `#1042`; the id if the number has no visible character."""
    return with_hash(clip_middle(clean(order.number) or clean(order.id) or "?", MAX_TEXT))


def with_hash(number: str) -> str:
    """The number of an order with a hash sign, once: `#1042`."""
    return number if number.startswith("#") else f"#{number}"


def order_number_in_ascii(order: AlertOrder, *, limit: int) -> str:
    """The order number in ASCII within `limit` characters, with the id if ASCII cannot show the whole number."""
    shown = clean(order.number).removeprefix("#")
    folded = ascii_fold(shown, fallback="")
    if not folded or not _without_accents(shown).isascii():
        order_id = ascii_fold(order.id)
        folded = f"{folded} ({order_id})" if folded else order_id
    return f"#{clip_middle(folded, limit - 1)}"


def status_name(status: str) -> str:
    """A status as people read it: `exception`, `partly shipped`, `on hold`."""
    return clean(kinds.status_name(status))


def status_phrase(status: str) -> str:
    """A status as part of a sentence: `in exception`, `partly shipped`, `on hold`."""
    return clean(kinds.status_phrase(status))


def reason(raw_status: str | None, status: str, *, with_code: bool = False) -> str | None:
    """The shop's reason in words; None if it says no more than the status.

    Args:
        raw_status: The reason, which may be a machine code.
        status: The order's status.
        with_code: Whether to add the shop's code if the words are not its own.
    """
    raw = clean(raw_status or "")
    if not raw or normalize_status(raw) == normalize_status(status):
        return None
    return reasons.with_code(raw) if with_code else reasons.in_words(raw)


_SOON = timedelta(days=1)
_HOUR = timedelta(hours=1)


class Due(NamedTuple):
    """A ship-by as people read it.

    Attributes:
        ship_by: The shop's value.
        date: `Fri 6 Mar 10:00 CET`, or only the day if the shop gives no time of day.
        relative: `in 35 h`, `11 d overdue`, or `11 d ago` if the order may have shipped.
        urgency: `none` for an order that is not open.
        is_day: Whether the shop gives no time of day.
    """

    ship_by: datetime
    date: str
    relative: str
    urgency: Urgency
    is_day: bool

    @property
    def text(self) -> str:
        """For example `Fri 6 Mar 10:00 CET (in 35 h)`."""
        return f"{self.date} ({self.relative})"

    @property
    def warning(self) -> str | None:
        """`due in 20 h`, `11 d overdue`; None if the order is not urgent."""
        if self.urgency is Urgency.NONE:
            return None
        return self.relative if self.urgency is Urgency.OVERDUE else f"due {self.relative}"


def zone_of(shop: AlertConnection | ShopSummary) -> tzinfo:
    """The shop's time zone; UTC if its name is unknown here (rule 11)."""
    try:
        return time_zone(shop.time_zone)
    except ValueError:
        return UTC


def moment(at: datetime, zone: tzinfo, *, beside: datetime | None = None) -> str:
    """A date and time as every message shows it: `Fri 6 Mar 10:00 CET`.

    Args:
        at: The moment; a naive one is taken as UTC.
        zone: The shop's time zone (`zone_of`).
        beside: The message's time. The year is shown only if it is another one; never if that time is unknown.
    """
    local = _local(at, zone)
    name = local.tzname() or "UTC"
    return f"{_day(local, zone, beside)} {local:%H:%M} {f'UTC{name}' if name[:1] in '+-' else name}"


def _day(local: datetime, zone: tzinfo, beside: datetime | None) -> str:
    year = f" {local.year}" if beside and _local(beside, zone).year != local.year else ""
    return f"{local:%a} {local.day} {local:%b}{year}"


def _local(at: datetime, zone: tzinfo) -> datetime:
    try:
        return _aware(at).astimezone(zone)
    except OverflowError:  # the first and the last possible day
        return _aware(at)


def seen_at(alert: Alert) -> datetime | None:
    """When the alert's orders were read, by Trackstar's clock; None for an alert about a connection."""
    subject = alert.order or alert.digest or alert.backlog
    return _aware(subject.seen_at) if subject and subject.seen_at else None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def due(
    ship_by: datetime | None, *, status: str, seen: datetime | None, zone: tzinfo, is_late: bool = False
) -> Due | None:
    """When an order must ship, relative to when it was `seen`; None if one of the two is unknown.

    An order that was found late is overdue, even if it was seen by a clock that is a little behind (`is_late`).
    """
    if ship_by is None or seen is None:
        return None
    left = _passes_at(ship_by, zone) - _aware(seen)
    left = min(left, timedelta(0)) if is_late else left
    urgency = _urgency(left, status)
    late = "overdue" if urgency is Urgency.OVERDUE else "ago"
    relative = f"in {duration(left, units=1)}" if left > timedelta(0) else f"{duration(-left, units=1)} {late}"
    # A date without a time is a day of the shop's calendar, in any time zone.
    day = _day_of(ship_by, zone)
    date = _day(datetime.combine(day, time(), UTC), UTC, seen) if day else moment(ship_by, zone, beside=seen)
    return Due(ship_by, date, relative, urgency, is_day=day is not None)


def _day_of(ship_by: datetime, zone: tzinfo) -> date | None:
    try:
        return date_only(_aware(ship_by), zone)
    except OverflowError:  # the first or the last possible day
        return None


def _passes_at(ship_by: datetime, zone: tzinfo) -> datetime:
    try:
        return ship_deadline(_aware(ship_by), zone)
    except OverflowError:  # the last possible day
        return _aware(ship_by)


def _urgency(left: timedelta, status: str) -> Urgency:
    """The urgency of an order that must ship within `left`; `none` unless the order is open."""
    if status not in OPEN_STATUSES or left > _SOON:
        return Urgency.NONE
    return Urgency.SOON if left > timedelta(0) else Urgency.OVERDUE


def order_due(alert: Alert) -> Due | None:
    """When the alert's order must ship; None if it has shipped or was cancelled."""
    if alert.order is None or alert.order.status in FINAL_STATUSES:
        return None
    order, is_late = alert.order, KIND_LATE in {alert.kind, *(each.kind for each in alert.merged)}
    zone = zone_of(alert.connection)
    return due(order.ship_by, status=order.status, seen=order.seen_at, zone=zone, is_late=is_late)


def urgency(alert: Alert) -> Urgency:
    """The urgency of the alert; for a digest, of its most urgent order."""
    if alert.digest:
        if alert.digest.overdue:
            return Urgency.OVERDUE
        return Urgency.SOON if alert.digest.due_soon else Urgency.NONE
    known = order_due(alert)
    return known.urgency if known else Urgency.NONE


def late_hours(alert: Alert) -> Decimal | None:
    """Whole hours since the ship-by passed, for a digest the maximum; None if nothing is overdue."""
    if urgency(alert) is not Urgency.OVERDUE:
        return None
    seen, zone = seen_at(alert), zone_of(alert.connection)
    orders = alert.digest.orders if alert.digest else [alert.order] if alert.order else []
    late = [seen - _passes_at(each.ship_by, zone) for each in orders if each.ship_by] if seen else []
    return Decimal(max(*late, timedelta(0)) // _HOUR) if late else None


_DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_WHOLE = re.compile(
    rf"\b{_DATE}(?: \d{{4}})?(?: \d\d:\d\d [A-Z][\w+-]*)?"  # Wed 4 Mar 13:33 CET
    r"|\b\d[\d,]* (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?"  # 3 h 20 min
    r"|(?<=\d) [A-Z]{3}\b"  # 129.90 EUR
)


def keep_together(text: str) -> str:
    """The text with no-break spaces inside its dates, times and amounts, so that no line ends in them."""
    return _WHOLE.sub(lambda found: found[0].replace(" ", "\u00a0"), text)
