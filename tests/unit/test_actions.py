"""The page of an action link: what it shows, what it does, and what it refuses."""

from collections.abc import Collection, Mapping
from copy import replace
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from orderwatch.action_links import VALID_FOR, OrderKey, sign
from orderwatch.actions import MAX_BODY, MAX_SNOOZE, Request, Response, Shop, respond
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.ownership import Ownership, taken
from orderwatch.records import StoredOrder
from orderwatch.shop_settings import time_zone
from tests.support.alerts import first_sight
from tests.support.clocks import NOON, FakeClock, running_on

KEY = SecretStr("k" * 43)
ORDER = OrderKey("conn_a", "id-1042")
BERLIN = time_zone("Europe/Berlin")
HOUR = timedelta(hours=1)


class Form(HTMLParser):
    """What a browser would send for the form of a page, and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.text += data

    @property
    def fields(self) -> dict[str, str]:
        return {str(each["name"]): each.get("value") or "" for tag, each in self.tags if tag == "input"}

    @property
    def choices(self) -> list[str]:
        return [str(each["value"]) for tag, each in self.tags if tag == "button"]


@dataclass
class Page:
    """The page over rows in memory; `requests` counts what reached them."""

    rows: dict[str, StoredOrder]
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOON))
    key: SecretStr | None = KEY
    token: str = ""
    requests: list[str] = field(default_factory=list)
    lost_writes: int = 0

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        assert connection_id == ORDER.connection_id
        self.requests.append("read")
        return {each: self.rows[each] for each in order_ids if each in self.rows}

    def set_ownership(self, connection_id: str, order_id: str, after: StoredOrder, *, expected: StoredOrder) -> bool:
        self.requests.append("write")
        if self.lost_writes:
            self.lost_writes -= 1
            return False
        assert self.rows[order_id] == expected
        self.rows[order_id] = after
        return True

    def shop(self, connection_id: str) -> Shop:
        self.requests.append("shop")
        return Shop("Nordic <Outdoor>", BERLIN, DeadlineRules(BERLIN, reminder_hours=24))

    def send(self, method: str, body: str = "") -> Response:
        with running_on(self.clock):
            request = Request(method, self.token, lambda: body)
            return respond(request, key=self.key, orders=self, shop_of=self.shop)

    def form(self) -> Form:
        return Form(self.send("GET").body)

    def click(self, do: str, name: str = "", *, on: Form | None = None) -> tuple[int, str]:
        """Click a button of a page (default: of one opened now)."""
        fields: Mapping[str, str] = (on or self.form()).fields | {"do": do, "name": name}
        response = self.send("POST", urlencode(fields))
        return response.status, Form(response.body).text

    @property
    def ownership(self) -> Ownership | None:
        return self.rows[ORDER.order_id].ownership

    def change(self, **changes: Any) -> None:
        """What a poll writes meanwhile."""
        self.rows[ORDER.order_id] = replace(self.rows[ORDER.order_id], **changes)


@pytest.fixture
def page() -> Page:
    row = first_sight(ORDER.order_id, record={"order_number": "#10<b>42"}).stored
    return Page({ORDER.order_id: row}, token=str(sign(ORDER, KEY, at=NOON)))


# What it shows


def test_the_page_shows_the_order_and_the_choices(page: Page) -> None:
    response = page.send("GET")
    form = Form(response.body)
    assert response.status == 200
    for text in ("Order #10<b>42 needs attention", "exception", "Nordic <Outdoor>", "nobody"):
        assert text in form.text
    assert form.choices == [
        *("take", "snooze 2026-01-05T16:00:00+00:00", "snooze 2026-01-06T08:00:00+00:00"),
        "snooze 2026-01-12T08:00:00+00:00",
    ]
    assert "Snooze until tomorrow (Tue 6 Jan 09:00 CET)" in form.text


def test_on_sunday_tomorrow_is_monday(page: Page) -> None:
    page.clock.advance(timedelta(days=6))
    assert len([each for each in page.form().choices if each.startswith("snooze")]) == 2


def test_the_page_runs_no_script_and_loads_nothing(page: Page) -> None:
    response = page.send("GET")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert {"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    expected = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    assert response.headers.items() >= expected.items()
    assert "noindex" in response.headers["X-Robots-Tag"]
    tags = Form(response.body).tags
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in tags}
    assert not {name for _, each in tags for name in each if name.startswith("on") or name in {"src", "href", "style"}}


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    tags = page.form().tags
    names = [tag for tag, _ in tags]
    assert (names.count("main"), names.count("h1")) == (1, 1)
    assert next(each["lang"] for tag, each in tags if tag == "html") == "en"
    labelled = {each["for"] for tag, each in tags if tag == "label"}
    assert labelled == {each["id"] for tag, each in tags if tag == "input" and each.get("type") != "hidden"}


# What it does


def test_an_order_is_taken_taken_over_and_released(page: Page) -> None:
    status, text = page.click("take", " Ana ")
    assert (status, "Ana has it." in text) == (200, True)
    assert page.ownership == Ownership("Ana", NOON)
    assert page.rows[ORDER.order_id].deadline_state.reminder_at == NOON + timedelta(days=3)
    status, text = page.click("take", "Ben")
    assert (status, page.ownership and page.ownership.owner) == (200, "Ben")
    assert "Ben has it. Ana had it before." in text
    status, text = page.click("release")
    assert (status, page.rows[ORDER.order_id].ownership) == (200, None)
    assert "Nobody has it. Ben had it before." in text


def test_the_name_is_typed_once(page: Page) -> None:
    body = page.send("POST", urlencode(page.form().fields | {"do": "take", "name": 'A"na'})).body
    assert Form(body).fields["name"] == 'A"na'


def test_an_order_is_snoozed_and_keeps_its_owner(page: Page) -> None:
    page.click("take", "Ana")
    choice = page.form().choices[1]
    status, text = page.click(choice)
    assert (status, page.ownership) == (200, Ownership("Ana", NOON, NOON + 4 * HOUR))
    assert "Ana has it, snoozed until Mon 5 Jan 17:00 CET." in text
    assert page.rows[ORDER.order_id].deadline_state.reminder_at == NOON + 4 * HOUR


def test_the_second_click_on_a_button_changes_nothing(page: Page) -> None:
    for do in ("take", page.form().choices[2], "release"):
        opened = page.form()
        assert page.click(do, "Ana", on=opened)[0] == 200
        before, writes = page.rows[ORDER.order_id], page.requests.count("write")
        page.clock.advance(HOUR)
        assert page.click(do, "Ana", on=opened)[0] == 200
        assert (page.rows[ORDER.order_id], page.requests.count("write")) == (before, writes)


def test_of_two_people_at_once_the_second_learns_who_has_it(page: Page) -> None:
    opened = page.form()
    page.click("take", "Ana", on=opened)
    status, text = page.click("take", "Ben", on=opened)
    assert (status, page.ownership and page.ownership.owner) == (409, "Ana")
    assert "Nothing was done, because the order changed meanwhile: Ana has it." in text
    assert "Take it over" in text


def test_a_poll_that_writes_the_row_in_between_does_not_matter(page: Page) -> None:
    page.lost_writes = 2
    assert page.click("take", "Ana")[0] == 200
    page.lost_writes = 99
    assert page.click("take", "Ben")[0] == 409
    assert page.ownership == Ownership("Ana", NOON)


def test_an_order_that_recovered_meanwhile_is_left_alone(page: Page) -> None:
    opened = page.form()
    page.change(status="fulfilled", needs_attention=False, changes=2)
    status, text = page.click("take", "Ana", on=opened)
    assert (status, page.ownership) == (409, None)
    assert "It is fulfilled now. Nothing was done." in text
    assert page.form().choices == []


def test_an_old_page_does_not_act_on_a_new_trouble(page: Page) -> None:
    opened = page.form()
    page.change(status="backordered", changes=3)
    assert page.click("take", "Ana", on=opened)[0] == 409
    assert page.ownership is None


def test_an_order_that_is_no_longer_stored_says_so(page: Page) -> None:
    page.rows.clear()
    assert page.send("GET").status == 410
    assert page.send("POST", "do=take&name=Ana").status == 410


# What it refuses


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whoever_follows_the_link_changes_nothing(page: Page, method: str) -> None:
    """Mail scanners, previews and browsers that load a page before it is opened."""
    for _ in range(3):
        response = page.send(method, "do=take&name=Ana")
        assert (response.status, bool(response.body)) == (200, method == "GET")
    assert "write" not in page.requests


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"])
def test_other_methods_are_refused(page: Page, method: str) -> None:
    response = page.send(method, "do=take&name=Ana")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert page.requests == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("wrong", ["unsigned", "another key", "expired", "no key"])
def test_nothing_is_read_without_a_valid_signature(page: Page, method: str, wrong: str) -> None:
    match wrong:
        case "unsigned":
            page.token = "favicon.ico"
        case "another key":
            page.token = str(sign(ORDER, SecretStr("x" * 43), at=NOON))
        case "expired":
            page.clock.advance(VALID_FOR)
        case "no key":
            page.key = None

    def body() -> str:
        raise AssertionError("the form is not decoded")

    with running_on(page.clock):
        response = respond(Request(method, page.token, body), key=page.key, orders=page, shop_of=page.shop)
    assert response.status == (410 if wrong == "expired" else 404)
    assert page.requests == []
    assert "1042" not in response.body


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"do": "take", "name": " "}, 422),
        ({"do": "take", "name": "ana@example.com"}, 422),
        ({"do": "take", "name": "A" * 81}, 422),
        ({"do": "", "name": "Ana"}, 400),
        ({"do": "delete", "name": "Ana"}, 400),
        ({"do": "snooze", "name": "Ana"}, 400),
        ({"do": f"snooze {(NOON - HOUR).isoformat()}"}, 400),
        ({"do": "snooze 2026-01-06T08:00:00"}, 400),
        ({"do": f"snooze {(NOON + MAX_SNOOZE + HOUR).isoformat()}"}, 400),
        ({"do": "take", "name": "A" * MAX_BODY}, 400),
        ({str(number): "x" for number in range(11)}, 400),
    ],
)
def test_an_invalid_form_changes_nothing_and_says_why(page: Page, fields: dict[str, str], status: int) -> None:
    response = page.send("POST", urlencode(page.form().fields | fields))
    assert (response.status, "write" in page.requests) == (status, False)
    assert "Nothing was done" in Form(response.body).text


def test_what_people_and_shops_write_is_text(page: Page) -> None:
    evil = '"><script>alert(1)</script>\u202e'
    page.change(order_number=evil, ownership=replace(taken(None, "Ana", at=NOON), note=evil))
    body = page.send("POST", urlencode(page.form().fields | {"do": "take", "name": evil})).body
    assert "<script" not in body
    assert "\u202e" not in Form(body).text
