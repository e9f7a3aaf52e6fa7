"""Remove contact data and keys from a shop's free text and links (rule 13).

A shop can write anything into a custom status or a link. E-mail addresses and phone numbers are masked, and parameters
that grant access are removed from links. A person's name or street address has no recognizable shape and is not masked.
"""

import re
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

EMAIL = "[e-mail]"
PHONE = "[phone]"

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+'-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}(?!(?:avif|gif|jpe?g|png|svg|webp)\b)[^\W\d_]{2,63}"
)
"""Image names such as `tent@2x.jpg` look like addresses and are excluded."""
_PHONE = re.compile(
    r"""
    (?<![\w+./-]) (?:
        # +49 170 1234567, but not +12.345.678,90
        [+\uff0b] (?! \d{1,3}(?:\.\d{3})+,\d ) [1-9] (?:SEP{0,2}\d){7,14}
        # 0049 170 1234567, but not the middle of a tracking number
      | (?<!\d[ -]) (?= 00(?:SEP{0,2}\d){10,15}(?!SEP?\d) ) 00 [1-9]\d{0,2} (?:SEP{1,2}\d{1,8}){2,6}
        # Tel. 0170-1234567, but not "by phone 2026-03-04 09:12"
      | (?i: tel(?:ephone|efon)? | (?:mobile[ ]?)?phone | mobile? | fax | whatsapp )
        (?i: [ .-]{0,2} (?:number|no|nr) )? [ ]? [.:]{0,2} [ ]?
        (?! (?:\d{4}|\d\d?) [./-] \d\d? [./-] (?:\d{4}|\d\d?) (?! \d | SEP?\d\d(?!:) ) )
        \(? \d (?:SEP{0,2}\d){5,14}
    ) (?![\w/-]*\d)
    """.replace("SEP", r"[ ().\u00a0/\u2010-\u2015-]"),
    re.VERBOSE,
)
"""A phone number beyond doubt: it is written for calls from abroad, or labelled. Order numbers and the tracking numbers
that carriers print look like any other phone number, and people need them."""

_SUSPECT = re.compile(r"@|%40|\d(?:\D{0,3}\d){5}")
"""A cheap test that rules out nearly every text, since it runs for each of the thousand orders of a page."""
_PATH_ONLY = re.compile(r"https?://[\w.:-]+(?P<path>/[\w./~:,-]*)?", re.ASCII)
"""A URL without user, password, parameters and escapes."""
_PRIVATE_NAME = re.compile(
    r"token|secret|signature|credential|passw|sess(?:ion|id)|hmac|jwt|api-?key|e-?mail|phone"
    r"|(?:first|last|full|customer|user)[_-]?name"
    r"|(?<![a-z])(?:auth|key|sig|sid|pwd|otp|mail|tel|mobile)(?![a-z])"
)
_KEY = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w.~+/=-]{37,}|[0-9a-fA-F]{37,}")
"""A key is longer than a UUID, with mixed case and digits. Ids in links are shorter; words in links are lower case."""


def mask_contacts(text: str) -> str:
    """Replace e-mail addresses with `[e-mail]` and phone numbers with `[phone]`."""
    return _PHONE.sub(PHONE, _EMAIL.sub(EMAIL, text)) if _SUSPECT.search(text) else text


def strip_private(url: str) -> str:
    """Remove user and password, and the parameters that are keys or contact data, from a URL.

    Raises:
        ValueError: The URL is invalid, or its path contains contact data, without which the link would not work.
    """
    plain = _PATH_ONLY.fullmatch(url)
    if plain and not _has_contacts(plain["path"] or ""):  # nearly every link
        return url
    parts = urlsplit(url)
    if _has_contacts(unquote(parts.path)):
        raise ValueError("contact data in the path")
    stripped = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        query="&".join(pair for pair in parts.query.split("&") if not _is_private(pair)),
        fragment="" if _is_private(parts.fragment) else parts.fragment,
    )
    return url if stripped == parts else urlunsplit(stripped)


def _is_private(parameters: str) -> bool:
    """Whether one of the parameters, or of those in a URL inside them, is a key or contact data."""
    return any(_is_private_pair(pair) for pair in re.split("[?&]", unquote_plus(parameters)))


def _is_private_pair(pair: str) -> bool:
    name, has_value, value = pair.partition("=")
    named = bool(has_value) and _PRIVATE_NAME.search(name.lower()) is not None
    return named or _KEY.fullmatch(value) is not None or _has_contacts(pair)


def _has_contacts(text: str) -> bool:
    return mask_contacts(text) != text
