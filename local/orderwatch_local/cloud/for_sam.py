"""`orderwatch up --for-sam`: a local cloud in which functions run only when `sam local invoke` runs them.

Schedules, queues and the stream no longer invoke the functions. Instead, this module reads the queues and the alert
table, and keeps the event that each would have sent in a file in `for-sam`, beside `env.json`.
"""

import json
import shlex
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.alert_table import AlertTable
from orderwatch.rendering.formatting import plural
from orderwatch_cli import sam_events
from orderwatch_cli.aws import Aws
from orderwatch_cli.commands import env_json
from orderwatch_cli.commands.test_alert import make_test_alert, publish_test_alert
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS
from orderwatch_cli.output import printable_text
from orderwatch_cli.stack import EVENT_SOURCE, SCHEDULE, STACK_NAME, Stack, find_stack
from orderwatch_cli.triggers import set_event_source, set_schedule
from orderwatch_local.cloud.containers import (
    ContainerNetwork,
    Relay,
    RelayRequest,
    RelayResponse,
    Service,
    forward,
    forward_to_cloud,
)
from orderwatch_local.cloud.sam import PROJECT, this_architecture
from orderwatch_local.cloud.watch import PREFIX, Watch

PARAMETERS = {"SlackEnabled": "true", "ActionLinks": "true"}
"""Template parameters that create all functions."""
CHECK_EVERY = 1.0
"""Seconds between two reads of the queues and the alert table."""
BASELINE_SECONDS = 120.0
"""Time limit of the first polls."""
FRESH = timedelta(minutes=10)
"""Age from which redrive_alerts sends a pending alert, not the stream."""
OVERDUE = FRESH + timedelta(minutes=2)
"""Age of the test alert for redrive_alerts; from 15 minutes on, it would also alert the operators."""
BATCH = 10
"""Messages in one batch of SlackQueue."""
FUNCTIONS = {
    "DispatchPollsFunction": "dispatch_polls_schedule.json",
    "PollOrdersFunction": env_json.POLL_EVENT,
    "PublishAlertsFunction": env_json.ALERT_EVENT,
    "RedriveAlertsFunction": "redrive_alerts_schedule.json",
    "SendSummaryFunction": "send_summary_schedule.json",
    "PostToSlackFunction": env_json.SLACK_EVENT,
    "HandleActionFunction": env_json.PAGE_EVENT,
}

_CONDITIONS = {"PostToSlackFunction": " SlackEnabled=true", "HandleActionFunction": " ActionLinks=true"}
"""Parameters without which SAM finds no such function."""


def run_for_sam(
    watch: Watch,
    network: ContainerNetwork,
    *,
    trackstar_url: str,
    log: Console,
    until: threading.Event,
) -> None:
    """Read the baselines, write the files, and update the events until interrupted.

    Args:
        watch: The deployed stack, with `PARAMETERS`.
        network: How containers reach this machine.
        trackstar_url: The API's base URL.
        log: Gets the messages.
        until: Ends it when set.

    Raises:
        StartFailedError: The network's address does not belong to this machine.
        EnvJsonError: The folder cannot be written.
    """
    with Aws(endpoint_url=watch.cloud.endpoint) as aws:
        session = SamSession(watch, find_stack(aws, STACK_NAME), log, PROJECT / env_json.FOLDER)
        services = session.services(trackstar_url)
        with Relay(network, services) as relay, session.files():
            session.prepare({name: relay.url(name) for name in services}, until)
            log.print(printable_text(_instructions(session.folder)), soft_wrap=True)
            while not until.wait(CHECK_EVERY):
                session.update()


class SamSession:
    """A stack on the local cloud whose functions run only when the user invokes them.

    Args:
        watch: The deployed stack.
        stack: The same stack, as the operator's commands read it.
        log: Gets the messages.
        folder: The folder for the files.
    """

    def __init__(self, watch: Watch, stack: Stack, log: Console, folder: Path) -> None:
        self.folder = folder
        self._watch = watch
        self._stack = stack
        self._log = log
        self._alerts = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
        self._alerted: set[AlertKey] = set()
        self._for_slack: dict[str, dict[str, Any]] = {}
        self._written_for_slack: set[str] = set()
        self._lock = threading.Lock()
        self._written: set[Path] = set()

    def services(self, trackstar_url: str) -> dict[str, Service]:
        """The services for containers. They reach an API that is not on this machine directly."""
        cloud = self._watch.cloud
        found = {
            "aws": forward_to_cloud(cloud.endpoint, cloud.environment()["AWS_SESSION_TOKEN"]),
            "slack": self._show_post,
        }
        if urlsplit(trackstar_url).hostname in LOOPBACK_HOSTS:
            found["trackstar"] = forward(trackstar_url)
        return found

    @contextmanager
    def files(self) -> Iterator[None]:
        """Delete the written files at the end of the block: the cloud that they name is gone then."""
        try:
            yield
        finally:
            for path in self._written:
                path.unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def prepare(self, urls: dict[str, str], until: threading.Event) -> None:
        """Read the baselines, disable everything that invokes functions, and write the first files."""
        self._watch.cloud.put_secret(f"{PREFIX}/slack/webhook-url", urls["slack"])
        disable_schedules(self._stack)
        disable_event_sources(self._stack, but="PollOrdersFunctionPollQueue")
        self._read_baselines(until)
        disable_event_sources(self._stack)
        replaced = {env_json.ENDPOINT: urls["aws"]}
        if "trackstar" in urls:
            replaced["TRACKSTAR_BASE_URL"] = urls["trackstar"]
        self._write(env_json.ENVIRONMENT, env_json.environments(self._stack, replaced))
        for name, event in env_json.events_without_alerts(self._stack).items():
            self._write(name, event)
        self._put_test_alerts()
        self.update()

    def update(self) -> None:
        """Write the events that are new since the last call."""
        polls = [
            json.loads(each["Body"])["connection_id"] for each in self._receive_all(self._stack.outputs.poll_queue_url)
        ]
        if polls:
            self._say(f"PollQueue got a poll of {', '.join(polls)}")
        self._update_alert_event()
        self._update_slack_event()

    def _update_alert_event(self) -> None:
        now = clock.now()
        overdue = set(self._alerts.pending_since_before(now - FRESH))
        fresh = [key for key in self._alerts.pending_since_before(now) if key not in overdue][: env_json.MAX_ALERTS]
        if not set(fresh) <= self._alerted:
            self._alerted |= set(fresh)
            rows = env_json.alert_rows(self._stack, fresh)
            self._write(env_json.ALERT_EVENT, env_json.alert_event(self._stack, rows))
            self._say(f"{env_json.ALERT_EVENT} has {plural(len(rows), 'new alert')} for publish_alerts")

    def _update_slack_event(self) -> None:
        queue_url = self._stack.resources["SlackQueue"].id
        with self._lock:
            self._for_slack |= {json.loads(each["Body"])["alert_id"]: each for each in self._receive_all(queue_url)}
            pending = dict(list(self._for_slack.items())[:BATCH])
        if not pending.keys() <= self._written_for_slack:
            self._written_for_slack |= pending.keys()
            queue_arn = env_json.queue_arn_of(self._stack, queue_url)
            self._write(env_json.SLACK_EVENT, sam_events.taken_messages([*pending.values()], queue_arn=queue_arn))
            self._say(f"{env_json.SLACK_EVENT} has {plural(len(pending), 'message')} for post_to_slack")

    def _show_post(self, request: RelayRequest) -> RelayResponse:
        """Act as Slack: show the message."""
        post = request.body.decode()
        with self._lock:
            self._for_slack = {key: each for key, each in self._for_slack.items() if key not in post}
        self._log.print(printable_text(f"posted to Slack: {json.loads(post).get('text', '')}"))
        return RelayResponse(200, body=b"ok")

    def _read_baselines(self, until: threading.Event) -> None:
        """Poll every shop. A shop that takes too long gets its baseline at the user's first poll."""
        self._say("first poll of every shop: the baseline")
        self._watch.poll_now()
        deadline = clock.monotonic() + BASELINE_SECONDS
        while unread := [
            each.connection_id for each in self._watch.states() if each.cursor.baseline_completed_at is None
        ]:
            if clock.monotonic() > deadline:
                log = self._watch.cloud.logs(self._watch.outputs.poll_orders_function_name, lines=5)
                self._say(f"no baseline of {', '.join(unread)} yet; poll_orders logged:\n{log}")
                return
            if until.wait(CHECK_EVERY / 10):
                return

    def _put_test_alerts(self) -> None:
        """Put a test alert into SlackQueue, and one that has been pending for too long into the alert table."""
        shop, price = self._watch.shops[0].connection_id, Decimal(100)
        publish_test_alert(self._stack, status="exception", connection_id=shop, total_price=price)
        alert = make_test_alert(status="backordered", connection_id=shop, total_price=price)
        row = self._alerts.put_action(alert)["Put"]["Item"]
        row["created_at"] = {"S": (clock.now() - OVERDUE).isoformat()}
        self._stack.aws.dynamodb.put_item(TableName=self._stack.outputs.alert_table_name, Item=row)

    def _receive_all(self, queue_url: str) -> list[Any]:
        sqs, taken = self._stack.aws.sqs, []
        while messages := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                taken.append(message)
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def _write(self, name: str, document: Any) -> None:
        self._written.add(env_json.write(self.folder, name, document))

    def _say(self, what: str) -> None:
        self._log.print(printable_text(what))


def _instructions(folder: Path) -> str:
    """The commands to paste into a shell in the repository."""
    sam = "sam" if shutil.which("sam") else ".tools/sam/bin/sam"
    where = shlex.quote(str(folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder))
    architecture = "" if this_architecture() == "arm64" else " Architecture=x86_64"
    lines = ["", "Functions run only when you invoke them. In another terminal:", "", f"{sam} build"]
    for function, event in FUNCTIONS.items():
        overrides = f"{architecture}{_CONDITIONS.get(function, '')}"
        options = f" --parameter-overrides{overrides}" if overrides else ""
        lines.append(f"{sam} local invoke {function} -e {where}/{event} --env-vars {where}/env.json{options}")
    return "\n".join([*lines, "", f"{where} is kept up to date; Ctrl-C stops it.", ""])


def disable_schedules(stack: Stack) -> None:
    """Disable every schedule."""
    for schedule in stack.of_type(SCHEDULE):
        set_schedule(stack, schedule, is_enabled=False)


def disable_event_sources(stack: Stack, *, but: str | None = None) -> None:
    """Disable the event source mappings of queues and streams.

    Args:
        stack: The stack.
        but: The logical id of a mapping that stays enabled.
    """
    for source in stack.of_type(EVENT_SOURCE):
        if source.name != but:
            set_event_source(stack, source, is_enabled=False)
