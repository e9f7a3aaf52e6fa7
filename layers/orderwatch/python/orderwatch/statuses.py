"""Trackstar's statuses, and how a shop's spelling of a status becomes one that can be compared (rule 9)."""

import re

from orderwatch.sanitize import one_line

DOCUMENTED_STATUSES = frozenset(
    {
        "open",
        "confirmed",
        "processing",
        "partially_fulfilled",
        "fulfilled",
        "backordered",
        "exception",
        "cancelled",
        "other",
    }
)
"""Trackstar's statuses (docs/trackstar.md). Trackstar may add others, and a shop may have its own."""
OPEN_STATUSES = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
"""Statuses with something still to ship. `other` and undocumented statuses have no deadlines."""
FINAL_STATUSES = frozenset({"fulfilled", "cancelled"})
"""Statuses with nothing left to do: an order in one of them never needs attention."""
BACKORDERED = "backordered"
"""The status of orders that lack stock. Products do not explain any other status."""
MAX_STATUS_LENGTH = 128
"""Characters of a status."""
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")
_BY_LETTERS = {status.replace("_", ""): status for status in DOCUMENTED_STATUSES} | {
    "canceled": "cancelled",
    "backorder": "backordered",
}


def normalize_status(text: str) -> str:
    """A status in Trackstar's spelling: lower case, with underscores. A word that Trackstar does not document is kept.

    `Exception` and ` EXCEPTION ` become `exception`, `canceled` becomes `cancelled`, `On Hold` becomes `on_hold`.
    """
    folded = _SEPARATORS.sub("_", one_line(text, MAX_STATUS_LENGTH).casefold()).strip("_")
    return _BY_LETTERS.get(folded.replace("_", ""), folded) or text.strip()
