"""Requests to AWS in a simulated run: faults, lost answers, and what each write means for the oracles."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError

from orderwatch.alerts.alert import AlertKey
from tests.simulation.cloud import ALERTS, CONNECTIONS, ORDERS, Change, Row, client_error, transaction_conflict
from tests.simulation.facts import moment_in
from tests.simulation.invocations import LEASE_DURATION, Invocation

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

_LOST_ANSWERS: dict[str, Exception | None] = {
    "refused": client_error("InternalError", "PublishBatch"),
    "garbled": ResponseParserError("an answer that is no XML"),
    "again": None,
}
"""Errors of a request that SNS accepted; None where the SDK retries and gets the response."""
_SNS_FAULTS = ("all", "some", "closed", *_LOST_ANSWERS)


class AwsCalls:
    """Serves the boto3 clients of the handlers; serves as the SNS client itself."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run

    def client(self, service: str, **_: object) -> Any:
        """What `boto3.client` returns."""
        return _Client(self, service, self._service(service))

    def _service(self, service: str) -> Any:
        return {"dynamodb": self._run.tables, "sqs": self._run.queue, "sns": self, "ssm": self._run.parameters}[service]

    def aws(self, service: str, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        """One call of a boto3 client."""

        if operation == "transact_write_items":
            self._run.oracle.tried(self._run.tables.asked_for(request))

        def sent() -> Any:
            if self._run.happens(self._run.plan.aws_fault) and service != "sns":
                self._run.note("  fault")
                raise self._aws_fault(operation, request)
            answer = self._sent_by(self._run.running[-1], operation, request, send)
            if _updates(request) and self._run.happens(self._run.plan.aws_fault):
                self._run.note("  the response is lost and the SDK retries")
                answer = send(**request)
            self._note_look(operation, request)
            if operation == "get_item" and self._run.running[-1].connection_id:
                invocation = self._run.running[-1]
                invocation.reading = self._run.oracle.loaded(invocation.connection_id)
                invocation.was_suspected = self._run.oracle.is_suspected(invocation.connection_id)
                invocation.continues = self._run.oracle.has_progress(invocation.connection_id)
                invocation.knew_dates = self._run.oracle.knows_vendor_dates(invocation.connection_id)
            if self._run.happens(self._run.plan.aws_fault * 0.5) and service != "sns":
                self._run.note("  the response is lost")
                self._run.running[-1].lost_an_update |= _updates(request)
                raise client_error("InternalServerError", operation)
            return answer

        return self._run.invocations.call(f"{service} {operation}", sent, seconds=0.01)

    def _note_look(self, operation: str, request: dict[str, Any]) -> None:
        """A poll loads its connection, or the orders that may be restocked."""
        invocation = self._run.running[-1]
        look, known = invocation.facts.look, self._run.known
        if operation == "get_item" and request["Key"].get("connection_id", {}).get("S") == invocation.connection_id:
            syncs = known.connection(invocation.connection_id).get("syncs", {})
            look.known_end = moment_in(syncs, "products_end")
        if invocation.function == "poll_orders" and request.get("IndexName") == "attention":
            look.rows = {
                key: row for key, row in known.orders(invocation.connection_id).items() if "status_since" in row
            }

    @staticmethod
    def _sent_by(invocation: Invocation, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        """Send a request. A poll that loses a transaction, or asks for another poll, may leave alerts to another."""
        invocation.facts.is_spoilt |= operation == "send_message_batch"
        invocation.asks_for_another |= operation == "send_message_batch"
        try:
            return send(**request)
        except ClientError:
            invocation.facts.is_spoilt = True
            raise

    def _aws_fault(self, operation: str, request: dict[str, Any]) -> ClientError:
        self._run.running[-1].facts.look.is_failed = True
        self._run.running[-1].lost_an_update |= _updates(request)
        if operation == "transact_write_items" and self._run.chance.random() < 0.8:
            actions = len(request["TransactItems"])
            return transaction_conflict(actions, self._run.chance.randrange(actions))
        return client_error("ProvisionedThroughputExceededException", operation)

    @property
    def exceptions(self) -> Any:
        return self._run.sns.exceptions

    def get_paginator(self, operation: str) -> Any:
        """SNS's list of subscriptions: every topic has a confirmed one."""
        return self._run.sns.get_paginator(operation)

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        """SNS, which refuses batches or single messages, closes the connection, or loses its response."""
        fault = self._run.chance.choice(_SNS_FAULTS) if self._run.happens(self._run.plan.sns_fault) else ""
        if fault == "closed":
            raise ConnectionClosedError(endpoint_url="https://sns.invalid")
        self._run.sns.is_down = fault == "all"
        self._run.sns.refuses = lambda body: fault == "some" and self._run.chance.random() < 0.5
        answer = self._accepted_by_sns(request)
        if fault in _LOST_ANSWERS:
            self._run.note(f"  SNS's response is lost: {fault}")
            self._run.invocations.count_unmarked(self._run.running[-1])
        if fault == "again":
            return self._accepted_by_sns(request)
        if error := _LOST_ANSWERS.get(fault):
            raise error
        return answer

    def _accepted_by_sns(self, request: dict[str, Any]) -> dict[str, Any]:
        before = len(self._run.sns.taken)
        try:
            return self._run.sns.publish_batch(**request)
        finally:
            for body in self._run.sns.taken[before:]:
                self._run.sent.append((self._run.time.seconds, request["TopicArn"], body))
                ids = self._run.oracle.took(body)
                self._run.contents.took(body, ids)
                self._run.quiet_hours.took(body["connection_id"], ids)
                self._check_names(body)
                self._run.running[-1].unmarked.update(ids)
                self._run.note(f"  sent {body['kind']} {ids}")
            if self._run.people_plan.has_links:
                self._run.people.got(request["PublishBatchRequestEntries"], self._run.sns.taken[before:])

    def _check_names(self, body: dict[str, Any]) -> None:
        """A message was sent; redrive_alerts looks nothing up, and neither does a sender that has spent its time."""
        if shop := self._run.shops.get(body["connection_id"]):
            is_late = self._run.running[-1].function != "publish_alerts" or "skipped" in str(body["enrichment"])
            self._run.warehouses.took(body, shop, is_looked_up=self._run.is_calm and not is_late)

    def wrote(self, changes: list[Change]) -> None:
        invocation = self._run.running[-1]
        for change in changes:
            self._run.note(f"  {change.table} {_brief(change.after)}")
        self._run.reminders.wrote(changes, invocation.facts)
        self._run.quiet_hours.wrote(changes)
        self._run.oracle.wrote(changes, invocation.reading)
        self._run.deadlines.wrote(changes, invocation.facts)
        self._run.contents.wrote(changes)
        self._run.restocks.wrote(changes, invocation.facts)
        self._run.summaries.touched += any(change.table in {ORDERS, CONNECTIONS} for change in changes)
        for row in (change.after for change in changes if change.after.get("kind") == "summary.daily"):
            self._run.summaries.wrote(row, now=self._run.our_clock.now(), is_calm=self._run.is_calm)
        if invocation.connection_id and any(change.table == CONNECTIONS for change in changes):
            [invocation.written] = [change.after for change in changes if change.table == CONNECTIONS]
            self._run.last_polls[invocation.connection_id] = (self._run.time.seconds, self._run.worked)
        fresh = [change.after for change in changes if change.table == ALERTS]
        self._run.alerts_written.update({row["connection_id"] for row in fresh})
        for row in fresh:
            self._run.event_sources.alert_written(AlertKey(row["connection_id"], row["alert_id"]))

    def updated(self, alert_id: str, row: Row) -> None:
        if "leased_until" in row:
            self._count_held_up(alert_id)
        for invocation in self._run.running:
            invocation.leased.discard(alert_id)
            if row.get("state") == "sent":
                invocation.unmarked.discard(alert_id)
        if "leased_until" in row:
            self._run.running[-1].leased.add(alert_id)
            self._run.running[-1].leased_at[alert_id] = self._run.time.seconds

    def _count_held_up(self, alert_id: str) -> None:
        """A sender that one call holds up for longer than leases last counts as dead; no real call takes so long."""
        for each in self._run.running[:-1]:
            is_held_up = self._run.time.seconds - each.leased_at.get(alert_id, self._run.time.seconds) > LEASE_DURATION
            if is_held_up and alert_id in each.leased | each.unmarked:
                each.unmarked.discard(alert_id)
                self._run.oracle.unmarked.update([alert_id])


class _Client:
    """A boto3 client each of whose requests is a call of the simulated run."""

    def __init__(self, calls: AwsCalls, name: str, service: Any) -> None:
        self._calls, self._name, self._service = calls, name, service

    @property
    def exceptions(self) -> Any:
        return self._service.exceptions

    def get_paginator(self, operation: str) -> Any:
        return _Client(self._calls, f"{self._name} {operation}", self._service.get_paginator(operation))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        send = getattr(self._service, operation)
        return lambda **request: self._calls.aws(self._name, operation, request, send)


def _updates(request: dict[str, Any]) -> bool:
    """Whether a request to DynamoDB updates rows, alone or in a transaction."""
    return "UpdateExpression" in request or any("Update" in action for action in request.get("TransactItems", ()))


def _brief(row: Row) -> str:
    shown = ("order_key", "alert_id", "kind", "status", "version", "status_alert_id", "cursor", "progress", "revision")
    return " ".join(f"{name}={row[name]}" for name in shown if name in row)
