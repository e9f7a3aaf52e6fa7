"""Words of a shop neither format nor mention nor link in a chat, and stay what they are."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import amazon_q, fallback, slack
from orderwatch.rendering.formatting import clean
from orderwatch.rendering.markup import for_amazon_q, for_slack
from orderwatch_local.preview.mrkdwn import Style, spans
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.alerts import plain_spaces

WORDS = [
    "~cancelled~",
    "*URGENT*",
    "**URGENT**",
    "_x_",
    "__x__",
    "`code` and ```block```",
    "SHOE:100:BLUE",
    ":fire:",
    ":fire::fire:",
    ":man-gesturing-no:",
    "> quote",
    ">>> quote",
    "1. x",
    "1) x",
    "- x",
    "* x",
    "# x",
    "<!here> <!channel> <@U123> <#C123>",
    "<https://evil.example|our shop>",
    "[our shop](https://evil.example)",
    "https://evil.example/a_b_c",
    "*_~`x`~_*",
    "\uff0aURGENT\uff0a \uff5ex\uff5e \uff3fx\uff3f",
    "a *b",
    "&amp; &lt;!here&gt;",
    "<!date^0^{_}|*>",
    "AWAITING_PAYMENT",
    "snake_case_name 2 x 3",
    "10:30:00",
]
PIECES = st.lists(
    st.sampled_from([*"*_~`:<>&@#-|[]()!.", "\uff0a", " ", "x", "a", "1", "1. ", "://", "https", ":fire:"]),
    min_size=1,
    max_size=14,
).map("".join)
TOKEN = re.compile(r"<!date\^0\^\{_\}\|([^>]*)>")
LINK = re.compile(r"<https?://[^|<>\s]+\|[^<>|]+>")
DATE = re.compile(r"<!date\^\d+\^\{date_short_pretty\}, \{time\}\|[^<>]*>")
GUARDS = re.compile("[\u00ad\u034f]")
ACTIVE = re.compile(
    r"[*~`\uff0a\uff5e\uff40]|(?<![A-Za-z0-9])[_\uff3f]|[_\uff3f](?![A-Za-z0-9])"  # formats
    r"|:[^\s:\u034f]+:|://|\]\(|<"  # emoji, URLs, links, mentions
    r"|^\s*(?:&gt;|\uff1e|[-+#]\s|\d+[.)]\s)",  # quotes, lists, headings
    re.MULTILINE,
)
"""Markup of Slack and of Markdown."""


def without_tokens(shown: str) -> str:
    """The text as Slack's parser sees it: what is in a token is no markup."""
    return TOKEN.sub("\u034f", shown)


def unguarded(shown: str) -> str:
    """The text as Amazon Q's reader sees it: what stands between two guards is no markup."""
    return re.sub("\u034f(?:[^\u034f]\u034f)+", "\u034f", shown)


def read(shown: str) -> str:
    """The words without our escapes."""
    plain = GUARDS.sub("", TOKEN.sub(r"\1", shown))
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.parametrize("words", WORDS)
def test_words_are_escaped_and_stay(words: str) -> None:
    in_slack, in_amazon_q = for_slack(words, limit=3000), for_amazon_q(words, limit=3000)
    assert not ACTIVE.search(without_tokens(in_slack)), in_slack
    assert not ACTIVE.search(unguarded(in_amazon_q)), in_amazon_q
    assert read(in_slack) == read(in_amazon_q) == words
    assert "".join(span.text for span in spans(in_slack) if span.style is Style.PLAIN) == words
    assert "".join(span.text for span in spans(in_amazon_q) if span.style is Style.PLAIN) == words


@pytest.mark.parametrize("words", ["AWAITING_PAYMENT", "TENT-2P_green", "10:30 CET", "2 x 3, 50%", "Ship by Fri: now"])
def test_words_without_markup_are_not_changed(words: str) -> None:
    assert for_slack(words, limit=100) == for_amazon_q(words, limit=100) == words


@given(words=PIECES)
def test_any_words_are_escaped_and_stay(words: str) -> None:
    for escape, parsed in ((for_slack, without_tokens), (for_amazon_q, unguarded)):
        shown = escape(words, limit=3000)
        assert not ACTIVE.search(parsed(shown)), shown
        assert read(shown) == words


@given(words=PIECES, limit=st.integers(4, 60))
def test_a_cut_leaves_no_half_of_an_escape(words: str, limit: int) -> None:
    for escape, parsed in ((for_slack, without_tokens), (for_amazon_q, unguarded)):
        shown = escape(words, limit=limit)
        assert len(shown) <= limit
        assert not ACTIVE.search(parsed(shown)), shown


def _texts(part: Any) -> Iterator[tuple[str, str]]:
    """The type and the text of every text object."""
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        yield part["type"], part["text"]
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else []:
        yield from _texts(each)


def _with_words(words: str) -> Alert:
    stock = {"wh_1": Decimal(2), words: Decimal(1)}
    line = AlertLineItem(sku=words, name=words, product_id=words, on_hand=Decimal(3), on_hand_by_warehouse=stock)
    names = {"wh_1": words}
    alert = order_alert("order.exception", number=words, raw_status=words, line_items=(line,), warehouses=names)
    connection = alert.connection.model_copy(update={"name": words, "integration": words})
    return alert.model_copy(update={"connection": connection})


def _styles(alert: Alert) -> list[tuple[Style, int]]:
    """The styles of all of Slack's texts that are not plain, with the number of texts of each."""
    message = slack.blocks(alert)
    marked = [text for kind, text in _texts(message.blocks) if kind == "mrkdwn"]
    found = [span.style for text in [*marked, message.text] for span in spans(text) if span.style is not Style.PLAIN]
    return sorted((style, found.count(style)) for style in set(found))


@pytest.mark.parametrize("words", WORDS)
def test_only_our_own_markup_is_active_in_a_message(words: str) -> None:
    alert, harmless = _with_words(words), _with_words("word")
    assert _styles(alert) == _styles(harmless)
    for kind, text in _texts(slack.blocks(alert).blocks):
        parsed = LINK.sub("", DATE.sub("", without_tokens(text)))
        assert kind == "plain_text" or not re.search(r":[^\s:*\u034f]+:|<|^&gt;", parsed, re.MULTILINE), text
    shown = amazon_q.notification(alert)["content"]
    for text in (shown["title"], shown["description"], *shown["nextSteps"], *shown["keywords"]):
        parsed = LINK.sub("", unguarded(text))
        assert not re.search(r":[^\s:*\u034f]+:|<|^&gt;|[~`]|://", parsed, re.MULTILINE), text
        assert parsed.count("*") % 2 == 0
    assert clean(words) in read(shown["description"])


@pytest.mark.parametrize("words", WORDS)
def test_the_fallback_is_without_markup_too(words: str) -> None:
    content = json.loads(fallback.plain(_with_words(words)).bodies["https"])["content"]
    for text in (content["title"], content["description"]):
        parsed = unguarded(text)
        assert not re.search(r"[*~`]|:[^\s:]+:|<|^&gt;", parsed, re.MULTILINE), text
    assert words in read(content["description"])


def test_a_status_stays_beside_the_date_in_slack() -> None:
    fields = [text for _, text in _texts(slack.blocks(SAMPLES["order.late"]).blocks) if text.startswith("*Status*")]
    assert fields
    assert all("partly shipped" in "".join(span.text for span in spans(text)) for text in fields)
    assert not any("<!date" in text for text in fields)


@pytest.mark.parametrize("kind", [kind for kind in SAMPLES if kind.startswith("order.")])
def test_a_date_token_holds_a_date_and_nothing_else(kind: str) -> None:
    tokens = [
        token for _, text in _texts(slack.blocks(SAMPLES[kind]).blocks) for token in re.findall(r"<!date\^[^>]*>", text)
    ]
    date = r"\w{3} \d+ \w{3} \d\d:\d\d CET"
    shown = [plain_spaces(token.split("|")[1].rstrip(">")) for token in tokens if not TOKEN.match(token)]
    assert all(re.fullmatch(date, each) for each in shown), shown
