"""What compiled code reads without Python is what the functions of `fields`, `privacy` and `sanitize` would give."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.privacy import mask_contacts, strip_private
from orderwatch.sanitize import one_line
from orderwatch.trackstar import fields
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.values import SURELY_PLAUSIBLE_UNTIL, in_utc


@given(st.from_regex(fields._TELLING))
def test_a_text_with_a_telling_character_is_no_placeholder(text: str) -> None:
    assert not fields.is_placeholder(text)


@given(st.from_regex(f"(?a)^{fields._WORDS}$", fullmatch=True))
def test_words_have_no_contact_data_and_no_entities(text: str) -> None:
    assert mask_contacts(text) == text
    if text.strip():
        assert fields._unescaped(text) == text


@given(st.from_regex(r"[ -~]{0,40}", fullmatch=True), st.sampled_from(["\u2028", "\u200b"]))
def test_printable_ascii_is_one_line(text: str, hidden: str) -> None:
    assert one_line(text, 20) == one_line(f"{text}{hidden}", 20)


@given(st.from_regex(r"https?://[a-z0-9.:-]{1,9}(/[a-z0-9.+@%?/_-]{0,30})?", fullmatch=True))
def test_a_link_without_parameters_is_kept_as_it_is(url: str) -> None:
    found = _link(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orderwatch.privacy._PATH_ONLY", re.compile("(?!)"))
        assert _link(url) == found


def _link(url: str) -> str | None:
    try:
        return strip_private(url)
    except ValueError:
        return None


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2029, 1, 1)),  # noqa: DTZ001 - hypothesis takes them without a zone
    st.sampled_from([UTC, timezone(timedelta(0)), timezone(timedelta(hours=2)), None]),
)
def test_a_date_is_read_in_utc(moment: datetime, zone: timezone | None) -> None:
    given_date = moment.replace(tzinfo=zone).isoformat()
    read = Order.of({"id": "1", "status": "open", "updated_date": given_date}).updated_date
    expected = in_utc(moment.replace(tzinfo=zone))
    if datetime(2000, 1, 1, tzinfo=UTC) <= expected < SURELY_PLAUSIBLE_UNTIL:
        assert read == expected
        assert read.tzinfo is UTC
    elif expected < SURELY_PLAUSIBLE_UNTIL:
        assert read is None
