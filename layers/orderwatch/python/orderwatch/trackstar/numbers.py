"""Numbers that a shop writes with separators, such as `1,299.00`, `1.299,00` and `89,90`."""

import re
from decimal import Decimal
from typing import Any

from orderwatch.sanitize import one_line

MAX_LENGTH = 64
"""Maximum characters of a written number."""

_MARKS = str.maketrans("\u2019\u00b4\u066c\u066b\uff0c\uff0e\u2212", "'''.,.-")
"""Typographic apostrophes, Arabic and full-width separators, and the minus sign, as ASCII."""
_READINGS = [
    (re.compile(rf"[+-]?(?:{pattern})"), decimal_mark)
    for pattern, decimal_mark in [
        (r"\d+(\.\d+)?", "."),
        (r"(?!0)\d{1,3}(,\d{3})+\.\d+", "."),  # 1,299.00
        (r"(?!0)\d{1,3}(,\d{3}){2,}", "."),  # 1,299,000
        (r"(?!0)\d{1,2}(,\d\d)+,\d{3}(\.\d+)?", "."),  # 12,99,000.00, as in India
        (r"(?!0)\d{1,3}('\d{3})+(\.\d+)?", "."),  # 1'299.00 and 1 299.00
        (r"(?!0)\d{1,3}('\d{3})+,\d+", ","),  # 1 299,00
        (r"(?!0)\d{1,3}(\.\d{3})+,\d+", ","),  # 1.299,00
        (r"(?!0)\d{1,3}(\.\d{3}){2,}", ","),  # 1.299.000
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
    digits = re.sub(r"\s", "'", text.translate(_MARKS))
    for pattern, decimal_mark in _READINGS:
        if pattern.fullmatch(digits):
            kept = "".join(each for each in digits if each not in "',." or each == decimal_mark)
            return Decimal(kept.replace(decimal_mark, "."))
    raise ValueError("not a number with one meaning")
