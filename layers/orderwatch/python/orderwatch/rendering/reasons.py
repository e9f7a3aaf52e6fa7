"""A shop's reason as people read it: machine codes such as `address_verification_failed` become words."""

import re

_KNOWN = {
    "addressverificationfailed": "Address check failed",
    "fraudhold": "Held for a fraud check",
    "holded": "On hold",
    "inventoryoutofstock": "Out of stock",
    "invoiceunconfirmed": "Invoice not confirmed",
    "onhold": "On hold",
    "onlinestorepostpurchasecrosssell": "The customer may still add to the order",
    "paymentreview": "Payment under review",
    "paypalcanceledreversal": "PayPal returned the payment",
    "paypalreversed": "PayPal took the payment back",
    "pendingavailability": "Not available yet",
    "pendingpaypal": "Waiting for PayPal",
    "wconhold": "On hold",
}
"""Codes whose own words are not plain, by their letters. The shops' pages are named in `next_steps`."""
_CODE = re.compile(r"[\w-]+")
_INNER_UNDERSCORES = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")


def in_words(raw: str) -> str:
    """A reason in words: a known code by its meaning, another one spelled out, a person's words as they are."""
    return _known(raw) or spelled_out(raw)


def with_code(raw: str) -> str:
    """The reason in words, followed by the shop's code if the words are not its own."""
    known = _known(raw)
    return f"{known} ({raw})" if known and known != spelled_out(raw) else spelled_out(raw)


def spelled_out(raw: str) -> str:
    """A code with spaces for underscores and a large first letter: `LABEL_ERROR` is `Label error`."""
    spaced = _INNER_UNDERSCORES.sub(" ", raw)
    if spaced == raw or not _CODE.fullmatch(raw):
        return spaced
    words = spaced.lower() if spaced.isupper() else spaced
    return f"{words[:1].upper()}{words[1:]}"


def _known(raw: str) -> str | None:
    letters = re.sub(r"[\W_]", "", raw).casefold()
    return _KNOWN.get(letters) if _CODE.fullmatch(raw) else None
