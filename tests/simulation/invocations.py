"""Invocations of the handlers in a simulated run: processes that fail, die, run out of time and interleave.

Nothing runs at the same time and yet everything interleaves: whenever a process makes an outgoing call (HTTP, DynamoDB,
SQS, SNS, SSM), something else may happen first, another invocation to its end included.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from orderwatch.errors import OrderwatchError
from tests.simulation.cloud import Row
from tests.simulation.deadline_oracle import PollFacts
from tests.simulation.facts import Violation
from tests.simulation.functions import TIMEOUTS, forget, handler_module
from tests.simulation.visible import Reading
from tests.support.crashing import Killed

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

EXPECTED = (ClientError, OrderwatchError, GetParameterError)
"""Errors by which a handler may fail: anything else is a fault of its own."""
MAX_AT_ONCE = 2
MAX_MEANWHILE = 500
"""Times that something happens during a call: a shop that changes at each of our requests outgrows pages of two."""
STOP_BEFORE = 30.0
"""Seconds before its end at which a poll leaves the rest to another one."""
MEANWHILE_OF_PEOPLE = 0.3
"""The chance that something happens during a call of a person's request."""
LEASE_DURATION = 240.0
"""Seconds for which a lease lasts, but for the time that a process needs to take it."""


@dataclass
class Invocation:
    """One run of a handler; the Lambda context that it is given.

    Attributes:
        ends_at: When Lambda kills it.
        connection_id: The connection that it polls.
        reading: The reading whose pages it asks for.
        knew_dates: Whether the row that it loaded knew of Trackstar's dates.
        problems: States of the connection that the API reported to it.
        was_suspected: Whether the row that it loaded had a refusal to confirm.
        written: The connection's row as it wrote it last.
        unmarked: Alerts that SNS took from it and that are not marked yet.
        leased: Alerts whose lease it holds.
        leased_at: When it acquired each lease.
        facts: What the API reported to it about deadlines.
        lost_an_update: Whether an update of its own may not have been written, so that it may keep a lease.
        continues: Whether it continues a window.
        has_asked: Whether it has asked for a page of a window.
        got_further: Whether it got a page of a window, or learned that the page or its filter is refused, or too large.
        asks_for_another: Whether it has asked for another poll, which continues.
        is_of_person: Whether a person waits for it.
    """

    function: str
    copy: int
    ends_at: float
    now: Callable[[], float]
    connection_id: str = ""
    reading: Reading | None = None
    knew_dates: bool = False
    problems: set[str] = field(default_factory=set)
    was_suspected: bool = False
    written: Row = field(default_factory=dict)
    unmarked: set[str] = field(default_factory=set)
    leased: set[str] = field(default_factory=set)
    leased_at: dict[str, float] = field(default_factory=dict)
    facts: PollFacts = field(default_factory=PollFacts)
    lost_an_update: bool = False
    continues: bool = False
    has_asked: bool = False
    got_further: bool = False
    asks_for_another: bool = False
    is_of_person: bool = False
    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return int(max(self.ends_at - self.now(), 0.0) * 1000)


class Invocations:
    """Runs the handlers, one copy of a module for each process."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run
        self._met = 0

    def call[T](self, what: str, send: Callable[[], T], *, seconds: float) -> T:
        """One outgoing call of the process that runs: it takes time, and the process may end before it or after it."""
        invocation = self._run.running[-1]
        self._may_die(invocation, f"before {what}")
        if self._run.happens(MEANWHILE_OF_PEOPLE if invocation.is_of_person else self._run.plan.meanwhile):
            self._meanwhile(invocation)
        self._run.time.spend(seconds * self._run.chance.uniform(0.5, 1.5))
        self._may_run_out(invocation, f"in {what}")
        self._run.note(f"{invocation.function}/{invocation.copy} {what}")
        answer = send()
        self._may_die(invocation, f"after {what}")
        return answer

    def _may_die(self, invocation: Invocation, where: str) -> None:
        self._may_run_out(invocation, where)
        if self._run.happens(self._run.plan.death):
            self._run.note(f"{invocation.function}/{invocation.copy} dies {where}")
            raise Killed

    def _may_run_out(self, invocation: Invocation, where: str) -> None:
        if self._run.time.seconds >= invocation.ends_at:
            self._run.note(f"{invocation.function}/{invocation.copy} runs out of time {where}")
            raise Killed

    def _meanwhile(self, invocation: Invocation) -> None:
        """Run other events while a process is waiting for a response."""
        self._met += 1
        if self._met > MAX_MEANWHILE:
            return
        shop = self._run.shops.get(invocation.connection_id) or self._run.activity.any_shop()
        happenings: list[Callable[[], None]] = [
            lambda: self._run.activity.change_and_sync(shop),
            lambda: self._run.activity.change_and_sync(shop),
        ]
        if len(self._run.running) < MAX_AT_ONCE:
            happenings += [
                lambda: self._run.event_sources.poll_again(shop),
                self._run.event_sources.publish_pending,
                self._run.event_sources.redrive,
            ]
            happenings += [self._run.people.act] * (1 + 2 * invocation.is_of_person) * bool(self._run.people_plan.acts)
        self._run.chance.choice(happenings)()

    def invoke(
        self,
        function: str,
        event: dict[str, Any],
        *,
        connection_id: str = "",
        sender: int | None = None,
        request: str = "request-1",
    ) -> Any:
        """Run a handler.

        Args:
            function: Its name.
            event: What it gets.
            connection_id: The connection that it polls.
            sender: The number of the shard; None: any process.
            request: Lambda's id of the request, which its retries share.

        Returns:
            What it returned; None where it failed or died.
        """
        copy = sum(1 for each in self._run.running if each.function == function) if sender is None else sender
        timeout = self._run.plan.poll_timeout if function == "poll_orders" else TIMEOUTS[function]
        invocation = Invocation(
            function,
            copy,
            self._run.time.seconds + timeout,
            lambda: self._run.time.seconds,
            connection_id=connection_id,
        )
        invocation.aws_request_id = request
        invocation.facts.connection_id = connection_id
        invocation.facts.started = self._run.time.seconds
        invocation.is_of_person = function == "handle_action"
        if function == "poll_orders":
            invocation.facts.requested_at = int(event["Records"][0]["attributes"]["SentTimestamp"])
        module = handler_module(function, copy)
        self._run.note(f"{function}/{copy} begins {connection_id}")
        self._run.running.append(invocation)
        began = self._run.time.seconds
        try:
            answer = module.handler(event, invocation)
        except Killed:
            forget(module)
        except EXPECTED as error:
            self._run.note(f"{function}/{copy} fails: {type(error).__name__}")
            self._check_leases(invocation)
        except BatchProcessingError as error:
            self._check_failures(error)
            self._run.note(f"{function}/{copy} fails: {error.child_exceptions[0][0]}")
        else:
            self._check_health(invocation)
            self._check_progress(invocation)
            self._check_leases(invocation)
            invocation.facts.is_finished = True
            self._run.deadlines.finished(invocation.facts)
            self._run.summaries.finished(invocation.facts)
            self._run.reminders.finished(invocation.facts)
            self._check_restocks(invocation)
            return answer
        finally:
            self._run.running.pop()
            self._run.older_copies.ended(invocation.facts)
            self.count_unmarked(invocation)
            self._run.worked += self._run.time.seconds - began
        return None

    def by_hand(self, what: str, request: Callable[[], None]) -> None:
        """A command of a person, who may give it up."""
        invocation = Invocation(what, 0, math.inf, lambda: self._run.time.seconds, is_of_person=True)
        self._run.note(f"{what} begins")
        self._run.running.append(invocation)
        try:
            request()
        except Killed:
            self._run.note(f"{what} is given up")
        except EXPECTED as error:
            self._run.note(f"{what} fails: {type(error).__name__}")
        finally:
            self._run.running.pop()

    @staticmethod
    def _check_leases(invocation: Invocation) -> None:
        """A sender that ended normally holds no lease any more."""
        if invocation.leased and not invocation.lost_an_update:
            raise Violation(f"{invocation.function} kept leases: {sorted(invocation.leased)}")

    def _check_health(self, invocation: Invocation) -> None:
        """Rule 10: a poll that ended normally has stored the state of the connection, a refusal when it is repeated."""
        if not invocation.written:
            return
        problems, health = invocation.problems, invocation.written["health"]
        if "suspected" in health and "refused" not in problems:
            raise Violation(f"{invocation.connection_id} is suspected, though Trackstar refused nothing")
        is_first = problems == {"refused"} and not invocation.was_suspected and "suspected" in health
        if problems and not is_first and health["state"] not in {"blocked", "unauthorized"}:
            raise Violation(f"{invocation.connection_id} is {problems}, and stored as {health['state']}")

    def _check_restocks(self, invocation: Invocation) -> None:
        """Rule 23: what can ship is alerted, unless there is too little time."""
        if invocation.function == "poll_orders":
            is_out_of_time = invocation.ends_at - self._run.time.seconds <= STOP_BEFORE or invocation.asks_for_another
            self._run.restocks.finished(invocation.facts, is_out_of_time=is_out_of_time)

    def _check_progress(self, invocation: Invocation) -> None:
        """Rule 7: a poll that leaves the rest to another one ran out of time, and got further."""
        if invocation.function != "poll_orders" or not invocation.asks_for_another:
            return
        if (seconds_left := invocation.ends_at - self._run.time.seconds) > STOP_BEFORE:
            raise Violation(f"{invocation.connection_id} is left to another poll with {seconds_left:.0f} s left")
        is_open = "progress" in invocation.written.get("cursor", {})
        if is_open and invocation.continues and not invocation.got_further:
            raise Violation(f"{invocation.connection_id}: a poll that got no further is reported as successful")

    @staticmethod
    def _check_failures(error: BatchProcessingError) -> None:
        for _, child, _ in error.child_exceptions or []:
            if not isinstance(child, EXPECTED):
                raise Violation(f"a poll failed by {child!r}") from child

    def count_unmarked(self, invocation: Invocation) -> None:
        self._run.oracle.unmarked.update(sorted(invocation.unmarked))
        invocation.unmarked.clear()
