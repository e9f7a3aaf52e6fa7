"""Numbers that a shop writes with separators, such as `1,299.00`, `1.299,00` and `89,90`."""

import re
from decimal import Decimal
from typing import Any

from orderwatch.sanitize import one_line

MAX_LENGTH = 64
"""Maximum characters of a written number."""

_BLANKS = re.compile(r"\s|\u2019")
_READINGS = [
    (re.compile(rf"[+-]?(?:{pattern})"), decimal_mark)
    for pattern, decimal_mark in [
        (r"\d+(\.\d+)?", "."),
        (r"[1-9]\d{0,2}(,\d{3})+\.\d+", "."),  # 1,299.00
        (r"[1-9]\d{0,2}(,\d{3}){2,}", "."),  # 1,299,000
        (r"[1-9]\d?(,\d\d)+,\d{3}(\.\d+)?", "."),  # 12,99,000.00, as in India
        (r"[1-9]\d{0,2}('\d{3})+(\.\d+)?", "."),  # 1'299.00 and 1 299.00
        (r"[1-9]\d{0,2}('\d{3})+,\d+", ","),  # 1 299,00
        (r"[1-9]\d{0,2}(\.\d{3})+,\d+", ","),  # 1.299,00
        (r"[1-9]\d{0,2}(\.\d{3}){2,}", ","),  # 1.299.000
        (r"\d+,(\d{1,2}|\d{4,})|(0|\d{4,}),\d{3}", ","),  # 89,90, but not 1,299, which can have two meanings
    ]
]


def read_number(written: Any) -> Decimal:
    """Read a number whose separators leave only one meaning.

    A point alone is the decimal point of the vendor's format. Text with a currency is refused, because the currency can
    contradict that of the order.

    Raises:
        ValueError: The value is not such a number.
    """
    text = one_line(written, len(written)) if isinstance(written, str) and len(written) <= MAX_LENGTH else ""
    digits = _BLANKS.sub("'", text).replace("\u2212", "-")
    for pattern, decimal_mark in _READINGS:
        if pattern.fullmatch(digits):
            kept = "".join(each for each in digits if each not in "',." or each == decimal_mark)
            return Decimal(kept.replace(decimal_mark, "."))
    raise ValueError("not a number with one meaning")
