"""Orders that were asked for by their ids, and what became of each."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from orderwatch.trackstar.answers import FaultError
from orderwatch.trackstar.lenient_json import read_value
from orderwatch.trackstar.orders import Order

MAX_IDS = 100
"""Values of one `in` filter."""
MAX_IDS_LENGTH = 4000
"""Characters of all ids of one request: with them a URL stays within what servers take."""


@dataclass(frozen=True, slots=True)
class FoundOrders:
    """What Trackstar has of orders that were asked for by their ids.

    Attributes:
        orders: Those that it has and that can be read; one may be there twice.
        gone: The ids of those that it no longer has.
    """

    orders: Sequence[Order]
    gone: Collection[str] = ()


def in_lists(order_ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in lists that one request can name; ids with a comma cannot be listed and are left out."""
    listed: list[str] = []
    for order_id in order_ids:
        if "," in order_id:
            continue
        if len(listed) == MAX_IDS or sum(map(len, listed)) + len(listed) + len(order_id) > MAX_IDS_LENGTH:
            yield listed
            listed = []
        listed.append(order_id)
    if listed:
        yield listed


def read_order(body: bytes) -> Order | None:
    """The order in a body; None where its record cannot be watched.

    Raises:
        FaultError: It is none.
    """
    try:
        answer = read_value(body)
    except ValueError:
        raise FaultError("body is no JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise FaultError("not an order")
    try:
        return Order.of(answer["data"])
    except ValidationError:
        return None
