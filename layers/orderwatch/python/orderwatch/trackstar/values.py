"""Dates as shops write them (rule 21). A value with exactly one meaning is read; day and month are never guessed."""

import re
from datetime import UTC, datetime, time, timedelta
from email.utils import parsedate_to_datetime

from orderwatch import clock

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""An earlier date means none: shop software writes year 1, 1899 or 1970."""
FARTHEST = timedelta(days=2 * 365)
"""A date that is further ahead means none: shop software writes 2099 or 9999."""
SURELY_PLAUSIBLE_UNTIL = datetime(2028, 1, 1, tzinfo=UTC)
"""No clock is needed to decide about an earlier date: none is before 2026 any more."""
_WORDS_FOR_NONE = frozenset({"", "-", "--", "-1", "n/a", "na", "nan", "never", "nil", "none", "null", "undefined"})
_ZEROS = re.compile(r"[0T:. Z+/-]*", re.IGNORECASE)
"""`0`, `0000-00-00`, `0000-00-00T00:00:00Z`."""
_EPOCH = re.compile(r"(?P<seconds>\d{10})(?P<thousandths>\d{3})?(?P<fraction>\.\d+)?")
"""Seconds or milliseconds since 1970."""
_ISO = re.compile(
    r"""
    (?P<year>\d{4}) (?P<dash>[-/.]?) (?P<month>\d{1,2}) (?P=dash) (?P<day>\d{1,2})
    (?: [T_ ]+ (?P<time> \d{1,2} : \d\d (?: : \d\d (?: [.,]\d+ )? )? | \d{4} (?: \d\d (?: [.,]\d+ )? )? ) )?
    \s* (?P<offset> Z | UTC | GMT | [+-]\d\d (?: :? \d\d )? )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""ISO 8601 and its variants: blanks before the offset, the name of UTC, slashes or dots after the year."""
_END_OF_DAY = re.compile(r"24:?00(?::?00(?:[.,]0+)?)?")
_MAIL = re.compile(  # RFC 822 and its successors
    r"(?:[a-z]{3}, ?)?\d{1,2} [a-z]{3} \d{4} \d\d:\d\d(?::\d\d)?(?: (?:[+-]\d{4}|GMT|UTC?|Z|[ECMP][SD]T))?",
    re.IGNORECASE,
)


def read_date(value: object) -> datetime | None:
    """Read a date of the vendor's records.

    Returns:
        The date; in UTC if it has no offset. None: the value means that there is no date.

    Raises:
        ValueError: The value was given and cannot be read.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError("not a date")  # noqa: TRY004 - as for any other value that cannot be read
    text = "" if value is None else str(value).strip()
    if text.casefold() in _WORDS_FOR_NONE or _ZEROS.fullmatch(text):
        return None
    try:
        date = _parse(text)
        return date if is_plausible(in_utc(date)) else None
    except OverflowError:  # in year 1 or 9999
        return None


def is_plausible(date: datetime) -> bool:
    """Whether a date in UTC is one: between 2000 and two years from now."""
    return date >= EARLIEST and (date < SURELY_PLAUSIBLE_UNTIL or date <= clock.now() + FARTHEST)


def in_utc(date: datetime) -> datetime:
    """The same moment in UTC; a date without an offset is in UTC."""
    return date.astimezone(UTC) if date.utcoffset() else date.replace(tzinfo=UTC)


def day_or_moment(date: datetime) -> datetime:
    """A midnight with an offset means the day, which Trackstar shows as midnight UTC; else the same moment in UTC."""
    return date.replace(tzinfo=UTC) if date.time() == time() else in_utc(date)


def _parse(text: str) -> datetime:
    if found := _EPOCH.fullmatch(text):
        fraction = f"{found['thousandths'] or ''}{(found['fraction'] or '')[1:]}"
        return datetime.fromtimestamp(float(f"{found['seconds']}.{fraction or 0}"), UTC)
    if _MAIL.fullmatch(text):
        return parsedate_to_datetime(text)
    found = _ISO.fullmatch(text)
    if found is None or not (found["dash"] or len(found["month"] + found["day"]) == len("0305")):
        return datetime.fromisoformat(text)
    clock_time = found["time"] or "00:00"
    if _END_OF_DAY.fullmatch(clock_time):  # midnight of the next day would be the next day
        clock_time = "23:59:59"
    clock_time = clock_time if clock_time[1] != ":" else f"0{clock_time}"
    offset = (found["offset"] or "").upper().replace("UTC", "Z").replace("GMT", "Z")
    return datetime.fromisoformat(f"{found['year']}-{found['month']:0>2}-{found['day']:0>2}T{clock_time}{offset}")
