"""People in a simulated run: they take, snooze and release orders, by the command line and by links in messages."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from orderwatch.aws.order_table import OrderTable
from orderwatch.ownership import Ownership, snoozed, taken
from orderwatch.shop_settings import time_zone
from orderwatch_cli.commands.ownership import FoundOrder, OrderChangedError, ShopRules, set_ownership, snooze_end
from orderwatch_cli.parameters import NamedShop
from orderwatch_cli.stack import StackParameters
from tests.simulation.cloud import ORDERS, PREFIX, Change
from tests.simulation.facts import Subject, Violation, moment, subject_of
from tests.simulation.people_plan import KEY_LENGTH
from tests.simulation.plan import TICK
from tests.simulation.reminder_oracle import Act, Owner

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

NAMES = ("Ana", "Ben", "Chiara")
ACTION_KEY = f"{PREFIX}/action-links/key"
VALID_FOR, KEY_AGE = timedelta(days=14), timedelta(seconds=60)
SPANS = (60, 300, 900, 1800, 14_400, 172_800)
"""Seconds of snoozes: some end while all fails."""
LATE_LINKS = 4
_LINK = re.compile(r"https://actions\.invalid/([\w-]+)")
_SEEN = re.compile(r'name="seen" value="(\w+)"')
_BUTTON = re.compile(r'name="do" value="([^"]+)"')
CONFLICT, GONE, NOT_FOUND = 409, 410, 404


@dataclass(frozen=True)
class Link:
    """A link of a message that was sent, by our clock, and the key that signed it."""

    token: str
    subject: Subject
    key: str


@dataclass(frozen=True)
class Page:
    """A page that somebody has open.

    Attributes:
        link: Its link.
        seen: What it sends of what it shows.
        buttons: What it offers.
        touched: How often the order's row had been written when it was requested.
        shown: The number of the status and the owner that it shows; None: they changed meanwhile.
    """

    link: Link
    seen: str
    buttons: tuple[str, ...]
    touched: int
    shown: tuple[int, Owner] | None


@dataclass
class People:
    """What people do.

    Attributes:
        links: Of the messages that were sent.
        acting: The requests under way, the innermost last.
    """

    run: "SimulatedRun"
    links: list[Link] = field(default_factory=list)
    acting: list[Act] = field(default_factory=list)
    _rotated_at: datetime | None = None
    _written: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = self.run.people_plan

    # When

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What happens here draws from the people's chance."""
        before, self.run.chance = self.run.chance, self.plan.chance
        try:
            yield
        finally:
            self.run.chance = before

    def schedule(self, active: float) -> None:
        """Let people act at random times."""
        for _ in range(self.plan.acts):
            self.run.time.after(self.plan.chance.uniform(0, active), self.act)
        if self.plan.rotates and self.plan.has_links:
            self.run.time.after(self.plan.chance.uniform(0, active), self._rotate)

    def play_days(self) -> None:
        """Hours and days in which people act, with a poll at times."""
        with self.apart():
            for hop in self.plan.hops:
                self.run.time.play(self.run.time.seconds + hop)
                self._wake_shops()
                self.act()
                self.run.event_sources.tick()
                self.run.time.play(self.run.time.seconds + TICK)
                self.act()
                if not self.plan.is_redrive_down:
                    self.run.event_sources.redrive()
            if self.plan.hops:
                self.run.event_sources.sum_up()

    def _wake_shops(self) -> None:
        for connection_id, shop in self.run.shops.items():
            for _ in range(self.plan.chance.choice((0, 1, 2))):
                self.run.activity.change(shop)
            self.run.activity.sync(connection_id)

    def end(self) -> None:
        """Quiet hours end, then links get old: clicked, they do nothing any more."""
        if self.plan.quiet_times:
            self.run.time.play(self.run.time.seconds + 25 * 3600.0)
            self.run.event_sources.redrive()
        with self.apart():
            self.run.time.spend(VALID_FOR.total_seconds() + 3600)
            for link in self.plan.chance.sample(self.links, min(LATE_LINKS, len(self.links))):
                self._check_dead(link)

    def _rotate(self) -> None:
        self.run.parameters.values[ACTION_KEY] = f"{self.plan.chance.getrandbits(4 * KEY_LENGTH):0{KEY_LENGTH}x}"
        self._rotated_at = self.run.our_clock.now()
        self.run.note("the key of the links is replaced")

    # What

    def act(self) -> None:
        """Somebody acts."""
        with self.apart():
            if self.links and self.plan.chance.random() < 0.6:
                self._open(self.plan.chance.choice(self.links[-12:]))
            else:
                self._by_command()

    def changed(self, change: Change) -> None:
        """The row of an order was updated."""
        act = self.acting[-1] if self.acting else None
        self.run.reminders.acted(change, act)
        self.run.summaries.touched += 1
        self._written += [act] if act else []
        self.run.note(f"  {act} has changed {subject_of(change.after)}")

    def _do[T](self, act: Act, request: Callable[[], T]) -> T:
        """Run a request of a person, who may run another one meanwhile."""
        self.acting.append(act)
        try:
            return request()
        finally:
            self.acting.pop()

    # By the command line

    def _by_command(self) -> None:
        rows = [row for row in self.run.tables.all_rows(ORDERS) if "status_since" in row]
        if not rows:
            return
        subject = subject_of(self.plan.chance.choice(sorted(rows, key=lambda row: str(row["order_key"]))))
        act = self._drawn(subject)
        self.run.invocations.by_hand(f"orderwatch {act.kind}", lambda: self._do(act, lambda: self._command(act)))

    def _drawn(self, subject: Subject) -> Act:
        now, chance = self.run.our_clock.now(), self.plan.chance
        kind = chance.choice(("take", "take", "snooze", "snooze", "snooze", "release"))
        until = None
        if kind == "snooze" and chance.random() < 0.2:
            zone = time_zone(self.run.promises.zone)
            until = snooze_end(chance.choice(("Mon 9:00", "tomorrow 9:00", "2:30")), now=now, zone=zone)
        elif kind == "snooze":
            until = now + timedelta(seconds=chance.choice(SPANS))
        return Act(kind, subject, now, chance.choice(NAMES) if kind == "take" else None, until)

    def _command(self, act: Act) -> None:
        """What `orderwatch take`, `snooze` and `release` do with an order that they have found."""
        connection_id, order_id = act.subject
        parameters = StackParameters.model_validate(self._stack_parameters())
        client = self.run.aws_calls.client
        aws = SimpleNamespace(dynamodb=client("dynamodb"), ssm=client("ssm"))
        outputs = SimpleNamespace(order_table_name=ORDERS)
        stack: Any = SimpleNamespace(aws=aws, outputs=outputs, parameters=parameters)
        row = OrderTable(aws.dynamodb, ORDERS).read(connection_id, [order_id]).get(order_id)
        if row is None or not row.needs_attention:
            return

        def change(order: FoundOrder, at: datetime) -> Ownership | None:
            before = order.row.ownership
            if act.kind == "take":
                return taken(before, act.who or "", at=at)
            return snoozed(before, until=act.until or at, at=at) if act.kind == "snooze" else None

        try:
            shop = NamedShop(connection_id, None, has_token=True)
            set_ownership(stack, FoundOrder(shop, order_id, row), change, ShopRules(stack))
        except OrderChangedError as error:
            self.run.note(f"  {error}")

    def _stack_parameters(self) -> dict[str, Any]:
        environment = self.run.environment
        names = ("TIME_ZONE", "LATE_WARNING_HOURS", "STUCK_DAYS", "DEADLINE_ALERTS", "REMINDER_HOURS", "MAX_REMINDERS")
        given = {"".join(word.title() for word in name.split("_")): environment[name] for name in names}
        needless = {"TrackstarBaseUrl": "", "PollSchedule": "", "SlackEnabled": False}
        return given | needless | {"ParameterPrefix": PREFIX}

    # By links

    def got(self, entries: list[dict[str, Any]], accepted: list[dict[str, Any]]) -> None:
        """SNS accepted messages: people, and scanners of mail, get their links."""
        ids = {body["alert_id"] for body in accepted}
        for texts in (json.loads(entry["Message"]) for entry in entries):
            body = json.loads(texts["sqs"])
            tokens = sorted(set(_LINK.findall(texts["email"])))
            if tokens and body["alert_id"] in ids:
                [token] = tokens
                subject = (body["connection_id"], body["order"]["id"])
                link = Link(token, subject, self.run.parameters.values[ACTION_KEY])
                self.links.append(link)
                if self.plan.chance.random() < 0.3:
                    self.run.time.after(1.0, lambda link=link: self._scan(link))  # type: ignore[misc]

    def _scan(self, link: Link) -> None:
        """A mail scanner follows a link."""
        with self.apart():
            self.run.note("a scanner follows a link")
            for method in ("HEAD", "GET"):
                self._request(method, link, Act("look", link.subject, self.run.our_clock.now()))

    def _open(self, link: Link) -> None:
        """Open the page, and choose something later."""
        touched, before = self.run.reminders.touched[link.subject], self.run.reminders.state(link.subject)
        answer = self._request("GET", link, Act("look", link.subject, self.run.our_clock.now()))
        if not answer or answer["statusCode"] != 200 or not (seen := _SEEN.search(answer["body"])):
            return
        shown = before if before == self.run.reminders.state(link.subject) else None
        page = Page(link, seen[1], tuple(dict.fromkeys(_BUTTON.findall(answer["body"]))), touched, shown)
        button, who = self.plan.chance.choice(page.buttons), self.plan.chance.choice(NAMES)
        delay = self.plan.chance.choice((0.0, 5.0, 120.0, 900.0, 86_400.0))
        if delay:
            self.run.time.after(delay, lambda: self._choose(page, button, who))
        else:
            self._choose(page, button, who)
        if self.plan.chance.random() < 0.3:
            self.run.time.after(delay + 2.0, lambda: self._choose(page, button, who))
        if self.plan.chance.random() < 0.3:
            other = self.plan.chance.choice(page.buttons)
            self.run.time.after(delay + 1.0, lambda: self._choose(page, other, "Dora"))

    def _choose(self, page: Page, button: str, who: str) -> None:
        """Press a button of a page."""
        with self.apart():
            kind, _, end = button.partition(" ")
            until, now = moment(end) if end else None, self.run.our_clock.now()
            act = Act(kind, page.link.subject, now, who if kind == "take" else None, until, page.shown)
            body = urlencode({"seen": page.seen, "name": who, "do": button})
            self.run.note(f"{who} presses {button} of {page.link.subject}")
            self._check(page, act, self._request("POST", page.link, act, body))

    def _request(self, method: str, link: Link, act: Act, body: str = "") -> Any:
        event = {
            "requestContext": {"http": {"method": method}},
            "rawPath": f"/{link.token}",
            "body": b64encode(body.encode()).decode(),
            "isBase64Encoded": True,
        }
        answer = self._do(act, lambda: self.run.invocations.invoke("handle_action", event))
        if answer:
            self.run.note(f"  the page of {link.subject} answers {method} with {answer['statusCode']}")
        return answer

    def _check(self, page: Page, act: Act, answer: Mapping[str, Any] | None) -> None:
        """A page that says yes has done it, one that says no has not, and a fresh page of a good link says yes."""
        if answer is None:
            return
        subject, status, is_done = act.subject, answer["statusCode"], any(each is act for each in self._written)
        writes = self.run.reminders.touched[subject] - page.touched
        owner = self.run.reminders.owner(subject)
        if status == 200 and not is_done and not writes and owner != (owner or Owner()).after(act):
            raise Violation(f"{act} was accepted and not done: {owner}")
        if status != 200 and is_done and not self.run.plan.aws_fault:
            raise Violation(f"{act} was done and answered with {status}")
        is_fresh = not writes and owner is not None and (act.until is None or act.until > self.run.our_clock.now())
        if is_fresh and self._is_good(page.link) and status != 200:
            raise Violation(f"{act} of a fresh page was answered with {status}")
        if not self._may_work(page.link) and is_done:
            raise Violation(f"{act} was done by a link of a replaced key")

    def _is_good(self, link: Link) -> bool:
        """Whether a link must work: its key is in use, and every process can have read it."""
        is_settled = self._rotated_at is None or self.run.our_clock.now() - self._rotated_at > 3 * KEY_AGE
        is_current = link.key == self.run.parameters.values[ACTION_KEY]
        return is_current and is_settled and not self.run.plan.aws_fault

    def _may_work(self, link: Link) -> bool:
        """Whether a link may work: its key is in use, or was a few moments ago."""
        is_new = self._rotated_at is not None and self.run.our_clock.now() - self._rotated_at < 3 * KEY_AGE
        return is_new or link.key == self.run.parameters.values[ACTION_KEY]

    def _check_dead(self, link: Link) -> None:
        """A link that has expired shows nothing, whatever is done with it."""
        body = urlencode({"seen": "", "name": "Ana", "do": "take"})
        for method in ("GET", "POST"):
            answer = self._request(method, link, Act("look", link.subject, self.run.our_clock.now()), body)
            if not answer or answer["statusCode"] not in {GONE, NOT_FOUND}:
                raise Violation(f"a link of {link.subject} works after {VALID_FOR}: {answer}")
