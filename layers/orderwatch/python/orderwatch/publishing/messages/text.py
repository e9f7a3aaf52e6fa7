"""Words and figures as people read them, whatever the shop wrote: shared by every channel."""

import re
import unicodedata
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

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
