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
from orderwatch.aws.tables import AlertTable
from orderwatch.rendering.formatting import plural
from orderwatch_cli import env_json, sam_events
from orderwatch_cli.aws import Aws
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS
from orderwatch_cli.show import printable_text
from orderwatch_cli.stack import EVENT_SOURCE, SCHEDULE, STACK_NAME, Stack, find_stack
from orderwatch_cli.trial import make_test_alert, send_test_alert
from orderwatch_local.cloud.containers import (
    Answered,
    Asked,
    Relay,
    Service,
    SimulatedShopUrl,
    forward,
    forward_to_cloud,
)
from orderwatch_local.cloud.sam import PROJECT, this_architecture
from orderwatch_local.cloud.watch import PREFIX, Watch


def switch_off_schedules(stack: Stack) -> None:
    """Disable every schedule; what it is otherwise stays."""
    for schedule in stack.of_type(SCHEDULE):
        known: Any = stack.aws.scheduler.get_schedule(Name=schedule.id)
        kept = {key: known[key] for key in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
        stack.aws.scheduler.update_schedule(**kept, State="DISABLED")


def switch_off_sources(stack: Stack, *, but: str | None = None) -> None:
    """Disable the mappings of queues and streams to functions.

    Args:
        stack: Whose.
        but: The template's name of a mapping that stays on.
    """
    for source in stack.of_type(EVENT_SOURCE):
        if source.name != but:
            stack.aws.functions.update_event_source_mapping(UUID=source.id, Enabled=False)


PARAMETERS = {"SlackEnabled": "true"}
"""Values of the template's parameters without which not all functions are there."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the queues and the ledger."""
BASELINE_WITHIN = 120.0
"""Seconds for the first poll of every shop."""
FRESH = timedelta(minutes=10)
"""How old a pending alert is when it is redrive_alerts' and no more the stream's."""
OVERDUE = FRESH + timedelta(minutes=2)
"""Age of the alert that is there for redrive_alerts; from 15 minutes on it would be told to the operators."""
BATCH = 10
"""Messages that SlackQueue gives at once."""
FUNCTIONS = {
    "DispatchPollsFunction": "dispatch_polls_schedule.json",
    "PollOrdersFunction": env_json.POLL_EVENT,
    "PublishAlertsFunction": env_json.ALERT_EVENT,
    "RedriveAlertsFunction": "redrive_alerts_schedule.json",
    "SendSummaryFunction": "send_summary_schedule.json",
    "PostToSlackFunction": env_json.SLACK_EVENT,
}


def run_for_sam(
    watch: Watch,
    doorway: SimulatedShopUrl,
    *,
    trackstar_url: str,
    log: Console,
    until: threading.Event,
) -> None:
    """Read the baselines, write the files, and keep the events fresh until interrupted.

    Args:
        watch: What is deployed, with `PARAMETERS`.
        doorway: Where containers come in.
        trackstar_url: Where the API is.
        log: Where to say what happens.
        until: Ends it.

    Raises:
        StartFailedError: The doorway is none of this machine.
        EnvJsonError: The folder cannot be written.
    """
    with Aws(endpoint_url=watch.cloud.endpoint) as aws:
        bench = Bench(watch, find_stack(aws, STACK_NAME), log, PROJECT / env_json.FOLDER)
        services = bench.services(trackstar_url)
        with Relay(doorway, services) as relay, bench.files():
            bench.prepare({name: relay.url(name) for name in services}, until)
            log.print(printable_text(_instructions(bench.folder)), soft_wrap=True)
            while not until.wait(LOOK_EVERY):
                bench.follow()


class Bench:
    """A stack on the local cloud whose functions are invoked by hand.

    Args:
        watch: What is deployed.
        stack: The same, as the operator's commands see it.
        log: Where to say what happens.
        folder: Where the files go.
    """

    def __init__(self, watch: Watch, stack: Stack, log: Console, folder: Path) -> None:
        self.folder = folder
        self._watch = watch
        self._stack = stack
        self._log = log
        self._alerts = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
        self._alerted: set[AlertKey] = set()
        self._for_slack: dict[str, dict[str, Any]] = {}
        self._told_slack: set[str] = set()
        self._lock = threading.Lock()
        self._written: set[Path] = set()

    def services(self, trackstar_url: str) -> dict[str, Service]:
        """What containers reach; an API that is not on this machine they reach by themselves."""
        cloud = self._watch.cloud
        found = {
            "aws": forward_to_cloud(cloud.endpoint, cloud.environment()["AWS_SESSION_TOKEN"]),
            "slack": self._take_post,
        }
        if urlsplit(trackstar_url).hostname in LOOPBACK_HOSTS:
            found["trackstar"] = forward(trackstar_url)
        return found

    @contextmanager
    def files(self) -> Iterator[None]:
        """Delete what was written at the end: nothing answers any more then."""
        try:
            yield
        finally:
            for path in self._written:
                path.unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def prepare(self, urls: dict[str, str], until: threading.Event) -> None:
        """Switch off what invokes the functions, once the baselines are read, and write the first files."""
        self._watch.cloud.put_secret(f"{PREFIX}/slack/webhook-url", urls["slack"])
        switch_off_schedules(self._stack)
        switch_off_sources(self._stack, but="PollOrdersFunctionPollQueue")
        self._read_baselines(until)
        switch_off_sources(self._stack)
        replaced = {env_json.ENDPOINT: urls["aws"]}
        if "trackstar" in urls:
            replaced["TRACKSTAR_BASE_URL"] = urls["trackstar"]
        self._write(env_json.ENVIRONMENT, env_json.environments(self._stack, replaced))
        for name, event in env_json.events_without_alerts(self._stack).items():
            self._write(name, event)
        self._put_test_alerts()
        self.follow()

    def follow(self) -> None:
        """Write the events that have come since the last look."""
        polls = [json.loads(each["Body"])["connection_id"] for each in self._take(self._stack.outputs.poll_queue_url)]
        if polls:
            self._say(f"PollQueue got a poll of {', '.join(polls)}")
        self._follow_alerts()
        self._follow_slack()

    def _follow_alerts(self) -> None:
        now = clock.now()
        overdue = set(self._alerts.pending_since_before(now - FRESH))
        fresh = [key for key in self._alerts.pending_since_before(now) if key not in overdue][: env_json.MOST_ALERTS]
        if not set(fresh) <= self._alerted:
            self._alerted |= set(fresh)
            rows = env_json.alert_rows(self._stack, fresh)
            self._write(env_json.ALERT_EVENT, env_json.alert_event(self._stack, rows))
            self._say(f"{env_json.ALERT_EVENT} has {plural(len(rows), 'new alert')} for publish_alerts")

    def _follow_slack(self) -> None:
        queue_url = self._stack.resources["SlackQueue"].id
        with self._lock:
            self._for_slack |= {json.loads(each["Body"])["alert_id"]: each for each in self._take(queue_url)}
            waiting = dict(list(self._for_slack.items())[:BATCH])
        if not waiting.keys() <= self._told_slack:
            self._told_slack |= waiting.keys()
            queue_arn = env_json.queue_arn_of(self._stack, queue_url)
            self._write(env_json.SLACK_EVENT, sam_events.taken_messages([*waiting.values()], queue_arn=queue_arn))
            self._say(f"{env_json.SLACK_EVENT} has {plural(len(waiting), 'message')} for post_to_slack")

    def _take_post(self, asked: Asked) -> Answered:
        """Be Slack: show what was posted."""
        post = asked.body.decode()
        with self._lock:
            self._for_slack = {key: each for key, each in self._for_slack.items() if key not in post}
        self._log.print(printable_text(f"posted to Slack: {json.loads(post).get('text', '')}"))
        return Answered(200, body=b"ok")

    def _read_baselines(self, until: threading.Event) -> None:
        """Poll every shop; one that takes longer, or cannot be read yet, is left to the first poll by hand."""
        self._say("first poll of every shop: the baseline")
        self._watch.poll_now()
        deadline = clock.monotonic() + BASELINE_WITHIN
        while unread := [each.connection_id for each in self._watch.states() if each.baseline_completed_at is None]:
            if clock.monotonic() > deadline:
                log = self._watch.cloud.logs(self._watch.outputs.poll_orders_function_name, lines=5)
                self._say(f"no baseline of {', '.join(unread)} yet; poll_orders logged:\n{log}")
                return
            if until.wait(LOOK_EVERY / 10):
                return

    def _put_test_alerts(self) -> None:
        """One that has come to SlackQueue, and one that has been pending for too long; both say that they are tests."""
        shop, price = self._watch.shops[0].connection_id, Decimal(100)
        send_test_alert(self._stack, status="exception", connection_id=shop, total_price=price)
        alert = make_test_alert(status="backordered", connection_id=shop, total_price=price)
        row = self._alerts.put_action(alert)["Put"]["Item"]
        row["created_at"] = {"S": (clock.now() - OVERDUE).isoformat()}
        self._stack.aws.dynamodb.put_item(TableName=self._stack.outputs.alert_table_name, Item=row)

    def _take(self, queue_url: str) -> list[Any]:
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
    """The commands, as they are pasted into a shell in the repository."""
    sam = "sam" if shutil.which("sam") else ".tools/sam/bin/sam"
    where = shlex.quote(str(folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder))
    architecture = "" if this_architecture() == "arm64" else " Architecture=x86_64"
    lines = ["", "Nothing runs but what you invoke, in another terminal:", "", f"{sam} build"]
    for function, event in FUNCTIONS.items():
        overrides = f"{architecture} SlackEnabled=true" if function == "PostToSlackFunction" else architecture
        options = f" --parameter-overrides{overrides}" if overrides else ""
        lines.append(f"{sam} local invoke {function} -e {where}/{event} --env-vars {where}/env.json{options}")
    return "\n".join([*lines, "", f"{where} is kept fresh; Ctrl-C ends it.", ""])
