from datetime import timedelta
from decimal import Decimal

import pytest

from orderwatch.clock import duration
from orderwatch.rendering import formatting
from orderwatch_local.preview.samples import order_alert


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("129.9", "EUR", "129.90 EUR"),
        ("1500.00", "JPY", "1,500 JPY"),
        ("12.5", "KWD", "12.500 KWD"),
        ("12.34567", "CLF", "12.3457 CLF"),
        ("129.904999", "EUR", "129.90 EUR"),
        ("0.005", "EUR", "0.01 EUR"),
        ("0.004", "EUR", "0.004 EUR"),
        ("-3", "USD", "-3.00 USD"),
        ("0", "USD", "0.00 USD"),
        ("7", None, "7.00"),
        ("1E+999", "EUR", "1.000000E+999 EUR"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: str, currency: str | None, shown: str) -> None:
    assert formatting.money(Decimal(amount), currency) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [("3", "3"), ("3.000", "3"), ("0.50", "0.5"), ("1200", "1,200"), ("100", "100"), ("0", "0")]
)
def test_a_quantity_has_no_trailing_zeros(amount: str, shown: str) -> None:
    assert formatting.quantity(Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(days=2, hours=4, minutes=59), "2 d 4 h"),
        (timedelta(days=2, minutes=5), "2 d"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(seconds=59), "less than a minute"),
    ],
)
def test_a_duration_shows_its_two_largest_units(span: timedelta, shown: str) -> None:
    assert duration(span) == shown


@pytest.mark.parametrize(
    ("span", "units", "shown"),
    [
        (timedelta(hours=47, minutes=59), 1, "47 h"),
        (timedelta(hours=48), 1, "2 d"),
        (timedelta(days=1200), 1, "1,200 d"),
        (timedelta(minutes=2, seconds=5), 2, "2 min 5 s"),
        (timedelta(seconds=4.9), 2, "4 s"),
        (timedelta(seconds=-4), 2, "0 s"),
    ],
)
def test_a_duration_can_show_one_unit_or_seconds(span: timedelta, units: int, shown: str) -> None:
    assert duration(span, units=units, seconds=True) == shown


@pytest.mark.parametrize(
    ("original", "folded"),
    [
        ("Zürich Café", "Zurich Cafe"),
        ("Straße Ærø Łódź", "Strasse AEro Lodz"),
        ("\u201cA\u201d \u2013 20\u20ac", '"A" - 20EUR'),
        ("東京 Store", "? Store"),
        ("\uff11\uff10\uff14\uff12", "1042"),
        ("東京", "fallback"),
        ("", "fallback"),
    ],
)
def test_ascii_folding_keeps_similar_characters(original: str, folded: str) -> None:
    assert formatting.ascii_fold(original, fallback="fallback") == folded


def test_text_is_shown_on_one_line_with_single_spaces() -> None:
    assert formatting.clean("\u202eevil\u2066  na\n me\x00\uffff") == "evil na me \ufffd"


@pytest.mark.parametrize(
    ("number", "shown", "in_ascii"),
    [
        ("1042", "#1042", "#1042"),
        ("#JP-1", "#JP-1", "#JP-1"),
        ("第七", "#第七", "#gid-5501042"),
        ("第7", "#第7", "#?7 (gid-5501042)"),
        ("\u202e", "#gid-5501042", "#gid-5501042"),
        ("9" * 50, f"#{'9' * 50}", f"#{'9' * 16}..{'9' * 15}"),
    ],
)
def test_an_order_has_a_number_in_every_channel(number: str, shown: str, in_ascii: str) -> None:
    order = order_alert("order.exception", number=number).order
    assert order
    assert formatting.order_number(order) == shown
    assert formatting.order_number_in_ascii(order, limit=34) == in_ascii


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://a b",
        "https://a\u202eb",
        'https://a"b',
        "ftp://a",
        "",
        None,
        f"https://{'a' * 2048}",
    ],
)
def test_an_unsafe_address_is_no_link(url: str | None) -> None:
    assert formatting.link(url) is None


def test_a_web_address_is_a_link_as_it_is() -> None:
    assert formatting.link("https://shop.example.com/o/1?a=1&b=2") == "https://shop.example.com/o/1?a=1&b=2"


@pytest.mark.parametrize(("said", "sentence"), [("Late", "Late."), ("Late.", "Late."), ("Late?", "Late?")])
def test_a_sentence_ends_in_one_mark(said: str, sentence: str) -> None:
    assert formatting.sentence(said) == sentence


def test_a_number_is_clipped_in_its_middle() -> None:
    assert formatting.clip_middle("2026-03-04-000000-1042", 12) == "2026-..-1042"
    assert formatting.clip("abcdefgh", 6) == "abc..."
