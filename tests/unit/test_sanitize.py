"""Text of the vendor is sanitized before it is shown or stored."""

import pytest

from orderwatch.sanitize import one_line
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.products import Product


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("on hold", "on hold"),
        ("  on\r\n\thold ", "on hold"),
        ("clear\x1b[2J", "clear [2J"),
        ("bell\x07 and \x9b31m red", "bell  and  31m red"),
        ("a\x00b\x7fc", "a b c"),
        ("\u202eevil\u2066 txt\u200f", "evil txt"),
        ("line\u2028break\u2029here", "line break here"),
        ("half \ud83d of one", "half \ufffd of one"),
        ("München 東京 😀", "München 東京 😀"),
        ("👩‍👩‍👧 ❤️‍🔥 👍🏽 #️⃣ 葛󠄀 نمی‌خواهم क्‍ष", "👩‍👩‍👧 ❤️‍🔥 👍🏽 #️⃣ 葛󠄀 نمی‌خواهم क्‍ष"),
        ("pay\u200d\u200cment \u200dnow\u200c", "payment now"),
        ("\x00\u202e", ""),
    ],
)
def test_text_becomes_one_line_that_is_safe_to_show(text: str, line: str) -> None:
    assert one_line(text, 100) == line


HIDDEN = (
    "00ad 034f 061c 115f 1160 17b4 17b5 180e 200b 200e 200f 202a 202e 2060 2061 2064 2066 2069 206a 206f 2800 3164 "
    "feff ffa0 fff9 1d173 e0001 e0041 e007f"
)


@pytest.mark.parametrize("code", HIDDEN.split())
def test_a_hidden_character_is_removed(code: str) -> None:
    assert one_line(f"ho{chr(int(code, 16))}ld", 100) == "hold"


def test_long_text_is_cut() -> None:
    assert one_line("\n" + "x" * 200, 160) == "x" * 160


def test_no_unsafe_character_remains() -> None:
    every = one_line("".join(map(chr, range(0x10000))), 0x10000)
    every.encode("utf-8")
    assert not {character for character in every if character in "\x1b\x9b\u202e\u2067\u2028"}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Tom &amp; Jerry&#8217;s", "Tom & Jerry\u2019s"),
        ("2&#x22; pipe &quot;A&quot; &lt;b&gt;", '2" pipe "A" <b>'),
        ("&Eacute;t&eacute;&nbsp;5 &euro;", "\u00c9t\u00e9\u00a05 \u20ac"),
        ("&amp;amp; &amp;lt;", "&amp; &lt;"),
        ("AT&T, R&D; Black&copper mug, &unknown; &#; &", "AT&T, R&D; Black&copper mug, &unknown; &#; &"),
        ("&#64;ada &#xD800;&#0;&#128514;", "@ada \ufffd\ufffd\U0001f602"),
        ("&nbsp; &#32;", None),
    ],
)
def test_html_entities_of_the_shop_are_unescaped_once(sent: str, read: str | None) -> None:
    order = Order.of({"id": "o1", "status": "open", "raw_status": sent, "order_number": sent})
    assert order.raw_status == order.order_number == read
    assert Product.model_validate({"id": "p1", "name": sent}).name == read


def test_ids_skus_and_links_keep_their_entities() -> None:
    url = "https://admin.example/?a=1&amp;b=2"
    order = {"id": "o&amp;1", "status": "open", "external_system_url": url, "line_items": [{"product_sku": "A&amp;B"}]}
    read = Order.of(order)
    assert (read.id, read.details.external_system_url, read.details.line_items[0].product_sku) == (
        "o&amp;1",
        url,
        "A&amp;B",
    )
    assert Product.model_validate({"id": "p1", "sku": "A&amp;B"}).sku == "A&amp;B"


def test_contact_data_behind_entities_is_masked() -> None:
    order = Order.of({"id": "o1", "status": "open", "raw_status": "ada&#64;example.com, &#43;49 170 1234567"})
    assert order.raw_status == "[e-mail], [phone]"
