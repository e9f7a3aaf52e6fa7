"""The page of an action link: shows an order, and lets whoever has the link take, snooze or release it (rule 24).

GET and HEAD change nothing, because mail scanners and previews follow links. POST acts, and only on what its page
showed: if the order or its owner changed meanwhile, the page says so and nothing is done.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol
from urllib.parse import parse_qs

from pydantic import SecretStr

from orderwatch import clock
from orderwatch.action_links import LinkExpiredError, LinkInvalidError, OrderKey, verify
from orderwatch.alerts.kinds import status_phrase
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.ownership import Ownership, OwnershipError, snoozed, taken
from orderwatch.records import StoredOrder
from orderwatch.rendering.action_page import HEADERS, ActionPage, Choice, Form
from orderwatch.rendering.formatting import moment, status_name, with_hash

METHODS = ("GET", "HEAD", "POST")
MAX_BODY = 4_096
"""Maximum characters of a form: a name, a fingerprint and a choice need a few hundred."""
MAX_SNOOZE = timedelta(days=8)
"""The longest snooze that the page offers is until Monday; a form can ask for no more."""
MAX_TRIES = 5
"""How often a row that polls keep writing is written again."""
_MORNING = time(9)


type Change = Callable[[Ownership | None], Ownership | None]
"""The new ownership by the old one."""


class Orders(Protocol):
    """The rows of orders."""

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The existing rows of these orders, by id."""

    def set_ownership(self, connection_id: str, order_id: str, after: StoredOrder, *, expected: StoredOrder) -> bool:
        """Write who works on an order; False if its row is not as expected."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What the page needs to know about the order's shop; `rules` are None where deadlines are not watched."""

    name: str
    zone: tzinfo
    rules: DeadlineRules | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the page; `body` decodes the form and is called only for a signed link."""

    method: str
    token: str
    body: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer in HTML."""

    status: int
    body: str
    headers: Mapping[str, str]


def respond(request: Request, *, key: SecretStr | None, orders: Orders, shop_of: Callable[[str], Shop]) -> Response:
    """Answer a request. Nothing is read before the signature of the link is known to be right.

    Args:
        request: The request.
        key: The key of the links; None: there are no links.
        orders: The rows.
        shop_of: Reads a connection's shop.
    """
    if request.method not in METHODS:
        return _response(405, ActionPage("Method not allowed"), allow=", ".join(METHODS))
    now = clock.now()
    try:
        order = verify(request.token, key, at=now) if key else None
    except LinkExpiredError:
        return _response(410, ActionPage("This link has expired", "Use the link of a newer message."))
    except LinkInvalidError:
        order = None
    if order is None:
        notice = "It is incomplete, or links were replaced or switched off. Use the link of a newer message."
        return _response(404, ActionPage("This link does not work", notice))
    visit = _Visit(order, shop_of(order.connection_id), orders, now)
    answer = visit.post(request.body()) if request.method == "POST" else visit.show()
    return Response(answer.status, "", answer.headers) if request.method == "HEAD" else answer


def _response(status: int, page: ActionPage, *, allow: str | None = None) -> Response:
    return Response(status, page.html(), HEADERS | ({"Allow": allow} if allow else {}))


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request with a valid link."""

    order: OrderKey
    shop: Shop
    orders: Orders
    now: datetime

    def show(self) -> Response:
        """The order and the choices."""
        return self._page(200, self._row())

    def post(self, body: str) -> Response:
        """Do what a form asks for, if the order still is what its page showed."""
        fields = {name: values[0] for name, values in _fields(body).items()}
        name, seen = fields.get("name", ""), fields.get("seen", "")
        change = self._change(fields.get("do", ""), name)
        if change is None:
            return self._page(400, self._row(), notice="Nothing was done: choose one of the buttons.", name=name)
        for _ in range(MAX_TRIES):
            if answer := self._attempt(self._row(), change, seen=seen, name=name):
                return answer
        return self._page(409, self._row(), notice="Nothing was done: the order keeps changing. Try again.", name=name)

    def _attempt(self, row: StoredOrder | None, change: Change, *, seen: str, name: str) -> Response | None:
        """The answer to a form; None if a poll wrote the row in between."""
        if row is None or not row.needs_attention:
            return self._page(409, row, notice="Nothing was done.", name=name)
        try:
            after = change(row.ownership)
        except OwnershipError as error:
            return self._page(422, row, name=name, error=f"Nothing was done: {error}.")
        is_done = _is_same(row.ownership, after)
        if not is_done and seen != _fingerprint(row):
            notice = f"Nothing was done, because the order changed meanwhile: {_state(row.ownership, self)}."
            return self._page(409, row, notice=notice, name=name)
        changed = row if is_done else row.with_ownership(after, self.shop.rules, at=self.now)
        if is_done or self.orders.set_ownership(*self.order, changed, expected=row):
            return self._page(200, changed, notice=_said(after, self, before=row.ownership), name=name)
        return None

    def _row(self) -> StoredOrder | None:
        return self.orders.read(self.order.connection_id, [self.order.order_id]).get(self.order.order_id)

    def _change(self, asked: str, name: str) -> Change | None:
        """The new ownership by the old one; None if the form asks for nothing that the page offers."""
        if asked == "take":
            return lambda before: taken(before, name, at=self.now)
        if asked == "release":
            return lambda _before: None
        if (until := _snooze_end(asked, self.now)) is None:
            return None
        return lambda before: snoozed(before, until=until, at=self.now)

    def _page(
        self,
        status: int,
        row: StoredOrder | None,
        *,
        notice: str | None = None,
        name: str = "",
        error: str | None = None,
    ) -> Response:
        if row is None:
            return _response(410, ActionPage("This order is no longer stored", notice))
        number = with_hash(row.order_number)
        facts = [("Status", status_name(row.status)), ("Shop", self.shop.name)]
        if not row.needs_attention:
            notice = " ".join([f"It is {status_phrase(row.status)} now.", *filter(None, [notice])])
            return _response(status, ActionPage(f"Order {number} needs no attention", notice, facts))
        facts += [("Since", moment(row.status_since, self.shop.zone, beside=self.now))]
        facts += self._ownership_facts(row.ownership or Ownership())
        form = Form(
            seen=_fingerprint(row),
            name=name,
            error=error,
            is_taken=bool(row.ownership and row.ownership.owner),
            snoozes=self._snoozes(),
            can_release=row.ownership is not None,
        )
        return _response(status, ActionPage(f"Order {number} needs attention", notice, facts, form))

    def _ownership_facts(self, ownership: Ownership) -> list[tuple[str, str]]:
        owner, at, until = ownership.owner, ownership.taken_at, ownership.snoozed_until
        facts = [("Taken by", f"{owner}{f', {self.moment(at)}' if at else ''}" if owner else "nobody")]
        facts += [("Snoozed until", self.moment(until))] if until and ownership.is_snoozed(self.now) else []
        return [*facts, *([("Note", ownership.note)] if ownership.note else [])]

    def moment(self, at: datetime) -> str:
        """As messages show it, in the shop's time zone."""
        return moment(at, self.shop.zone, beside=self.now)

    def _snoozes(self) -> list[Choice]:
        """In four hours, tomorrow morning and on the next Monday morning, which can be tomorrow."""
        local = self.now.astimezone(self.shop.zone)
        tomorrow = _morning(local, 1)
        monday = _morning(local, 7 - local.weekday())
        ends = {"for 4 hours": self.now + timedelta(hours=4), "until tomorrow": tomorrow}
        ends |= {"until Monday": monday} if monday != tomorrow else {}
        return [
            Choice(
                f"Snooze {label} ({self.moment(end)})", f"snooze {end.astimezone(UTC).isoformat(timespec='seconds')}"
            )
            for label, end in ends.items()
        ]


def _morning(local: datetime, days: int) -> datetime:
    return datetime.combine(local.date() + timedelta(days=days), _MORNING, local.tzinfo).astimezone(UTC)


def _fields(body: str) -> dict[str, list[str]]:
    if len(body) > MAX_BODY:
        return {}
    try:
        return parse_qs(body, max_num_fields=10)
    except ValueError:
        return {}


def _snooze_end(asked: str, now: datetime) -> datetime | None:
    """The end of a snooze that a button of this page, or of one that was opened earlier, asks for."""
    kind, _, text = asked.partition(" ")
    try:
        until = datetime.fromisoformat(text) if kind == "snooze" else None
    except ValueError:
        return None
    return until if until and until.tzinfo and now < until <= now + MAX_SNOOZE else None


def _fingerprint(row: StoredOrder) -> str:
    """Another one for another status or ownership; a newer version of the same status does not matter."""
    shown = (row.status, row.changes, row.ownership)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:32]


def _is_same(before: Ownership | None, after: Ownership | None) -> bool:
    """Whether the order is as it is asked to be: the second click on a button."""
    if before is None or after is None:
        return before is after
    return (before.owner, before.snoozed_until) == (after.owner, after.snoozed_until)


def _state(ownership: Ownership | None, visit: _Visit) -> str:
    found = ownership or Ownership()
    owner = f"{found.owner} has it" if found.owner else "nobody has it"
    until = found.snoozed_until
    return f"{owner}, snoozed until {visit.moment(until)}" if until and found.is_snoozed(visit.now) else owner


def _said(after: Ownership | None, visit: _Visit, *, before: Ownership | None = None) -> str:
    """For example `Ana has it. Ben had it before.`."""
    had = before.owner if before and before.owner != (after and after.owner) else None
    sentences = [_state(after, visit), *([f"{had} had it before"] if had else [])]
    return " ".join(f"{each[:1].upper()}{each[1:]}." for each in sentences)
