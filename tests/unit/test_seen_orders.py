"""Which orders of a window were read: exact like a set, and small."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from orderwatch.reading.window import MAX_SAVED_IDS, ReadIds


def seen(*order_ids: str) -> ReadIds:
    orders = ReadIds()
    for order_id in order_ids:
        orders.add(order_id)
    return orders


@given(st.lists(st.text(max_size=4)))
def test_an_order_is_new_once_and_only_once(order_ids: list[str]) -> None:
    orders, known = ReadIds(), set[str]()
    for order_id in order_ids:
        assert orders.add(order_id) is (order_id not in known)
        known.add(order_id)
    assert len(orders) == len(known)


def test_it_stays_exact_while_it_grows() -> None:
    orders = seen(*map(str, range(20_000)))
    assert len(orders) == 20_000
    assert not any(orders.add(str(number)) for number in range(20_000))
    assert orders.add("20000")


def test_the_next_poll_knows_what_was_saved() -> None:
    restored = ReadIds.from_text(seen("1", "2", "\ud800").to_text())
    assert [restored.add(order_id) for order_id in ("1", "2", "\ud800", "3")] == [False, False, False, True]


def test_an_extract_that_does_not_fit_the_row_is_not_saved() -> None:
    orders = seen(*map(str, range(MAX_SAVED_IDS)))
    assert len(orders.to_text()) == 8 * MAX_SAVED_IDS
    orders.add("one more")
    assert orders.to_text() == ""
    assert len(ReadIds.from_text("")) == 0


def test_an_order_takes_at_most_a_few_words_of_memory() -> None:
    orders = seen(*map(str, range(100_000)))
    assert sys.getsizeof(orders._slots) <= 32 * len(orders)
