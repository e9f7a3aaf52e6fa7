"""`orderwatch env-json`: what `sam local invoke` needs to run a function here with what a stack has there.

That is `env.json`, the variables of each deployed function, and an event for each, about what the stack knows.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.dynamodb import Item, from_item, to_item
from orderwatch.aws.tables import PENDING, AlertTable
from orderwatch.errors import OrderwatchError
from orderwatch_cli import sam_events
from orderwatch_cli.history import Wanted, stored_alert
from orderwatch_cli.history import alerts as alerts_of
from orderwatch_cli.sam_events import Event
from orderwatch_cli.shop_parameters import connected_shops
from orderwatch_cli.stack import SCHEDULE, Stack

FOLDER = Path("for-sam")
"""Where the files go; git ignores it."""
ENVIRONMENT = "env.json"
POLL_EVENT = "poll_orders_message.json"
ALERT_EVENT = "publish_alerts_stream.json"
SLACK_EVENT = "post_to_slack_message.json"
ENDPOINT = "AWS_ENDPOINT_URL"
MOST_ALERTS = 100
"""Records that the stream gives at once."""
_FUNCTION = "AWS::Lambda::Function"
_TICKS = {
    "DispatchPollsFunction": "dispatch_polls_schedule.json",
    "RedriveAlertsFunction": "redrive_alerts_schedule.json",
    "SendSummaryFunction": "send_summary_schedule.json",
}


class EnvJsonError(OrderwatchError):
    """The files cannot be written: says why and what to do."""


class Written(BaseModel):
    """What was written.

    Attributes:
        files: The paths.
        notes: What these events do not do, and why.
    """

    files: list[str]
    notes: list[str]


def write_all(stack: Stack, folder: Path, *, endpoint_url: str | None = None) -> Written:
    """Write `env.json` and an event for each function of a deployed stack.

    Args:
        stack: Which.
        folder: Where to; it is made where it is missing, files of the same names are replaced.
        endpoint_url: Where AWS is for the functions; None: where the SDK finds it.

    Raises:
        EnvJsonError: No shop is connected, or the folder cannot be written.
    """
    events, notes = _alert_events(stack)
    documents = {
        ENVIRONMENT: environments(stack, {ENDPOINT: endpoint_url or ""}),
        **events_without_alerts(stack),
        **events,
    }
    return Written(files=[str(write(folder, name, document)) for name, document in documents.items()], notes=notes)


def environments(stack: Stack, replaced: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The variables of each function as it is deployed, for `--env-vars`.

    SAM would pass on others: made-up names for tables, queues and topics, and the template's defaults.

    Args:
        stack: Whose functions.
        replaced: Values to put in place of the deployed ones, where a function has the variable. SAM cannot resolve
            AWS_ENDPOINT_URL, so it must be among them.
    """
    found = {}
    for function in stack.of_type(_FUNCTION):
        configuration = stack.aws.functions.get_function_configuration(FunctionName=function.id)
        variables = {ENDPOINT: "", **configuration.get("Environment", {}).get("Variables", {})}
        found[function.name] = {name: replaced.get(name, value) for name, value in variables.items()}
    return found


def events_without_alerts(stack: Stack) -> dict[str, Event]:
    """The events of the ticks, and of a poll of each connected shop, by file name: the first one's is `POLL_EVENT`.

    Raises:
        EnvJsonError: No shop is connected.
    """
    connection_ids = [shop.connection_id for shop in connected_shops(stack)]
    if not connection_ids:
        raise EnvJsonError("no shop is connected: `orderwatch connect` connects one")
    events = {name: sam_events.tick(_schedule_arn(stack, function)) for function, name in _TICKS.items()}
    events["dispatch_polls_manual.json"] = {"connection_ids": connection_ids}
    queue_arn = queue_arn_of(stack, stack.outputs.poll_queue_url)
    for connection_id in connection_ids:
        name = POLL_EVENT if POLL_EVENT not in events else f"poll_orders_message_{connection_id}.json"
        events[name] = sam_events.poll(connection_id, queue_arn=queue_arn)
    return events


def alert_event(stack: Stack, rows: Sequence[Item]) -> Event:
    """What AlertTable's stream sends of these rows."""
    table = stack.aws.dynamodb.describe_table(TableName=stack.outputs.alert_table_name)["Table"]
    return sam_events.new_alerts(rows, stream_arn=table["LatestStreamArn"])


def alert_rows(stack: Stack, keys: Iterable[AlertKey]) -> list[Item]:
    """The rows of these alerts, in DynamoDB's notation."""
    answers = (
        stack.aws.dynamodb.get_item(TableName=stack.outputs.alert_table_name, Key=to_item(key._asdict()))
        for key in keys
    )
    return [answer["Item"] for answer in answers if "Item" in answer]


def queue_arn_of(stack: Stack, url: str) -> str:
    """The ARN of a queue of the stack."""
    return f"arn:aws:sqs:{_region_and_account(stack)}:{url.rpartition('/')[2]}"


def write(folder: Path, name: str, document: Any) -> Path:
    """Write one file, for its user alone; whoever reads it meanwhile gets the whole old or the whole new one.

    Raises:
        EnvJsonError: The folder cannot be written.
    """
    path, partial = folder / name, folder / f".{name}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(document, indent=2) + "\n")
        partial.replace(path)
    except OSError as error:
        raise EnvJsonError(f"{path} cannot be written ({error.strerror}): name another folder with --into") from None
    return path


def _alert_events(stack: Stack) -> tuple[dict[str, Event], list[str]]:
    """The events about an alert: the oldest that is pending, else the newest."""
    row = _an_alert(stack)
    if row is None:
        return {}, [f"no {ALERT_EVENT} and no {SLACK_EVENT}: the stack has no alert yet"]
    events, notes = {ALERT_EVENT: alert_event(stack, [row])}, []
    if from_item(row)["state"] != PENDING:
        notes.append("its alert was sent: publish_alerts sends nothing; docs/operations.md, Replay, makes it pending")
    if slack_queue := stack.resources.get("SlackQueue"):
        alert = stored_alert(from_item(row))
        queue_arn = queue_arn_of(stack, slack_queue.id)
        events[SLACK_EVENT] = sam_events.slack_messages([alert] if alert else [], queue_arn=queue_arn)
        notes.append("post_to_slack posts no alert that Slack had within two weeks")
    else:
        notes.append(f"no {SLACK_EVENT}: the stack is deployed without SlackEnabled")
    return events, notes


def _an_alert(stack: Stack) -> Item | None:
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    key = next(table.pending_since_before(clock.now()), None)
    if key is None:
        newest = next(alerts_of(stack, Wanted()), None)
        key = AlertKey(newest.connection_id, newest.alert_id) if newest else None
    return next(iter(alert_rows(stack, [key] if key else [])), None)


def _schedule_arn(stack: Stack, function: str) -> str:
    name = next((each.id for each in stack.of_type(SCHEDULE) if each.name.startswith(function)), function)
    return f"arn:aws:scheduler:{_region_and_account(stack)}:schedule/default/{name}"


def _region_and_account(stack: Stack) -> str:
    return ":".join(stack.outputs.alert_topic_arn.split(":")[3:5])
