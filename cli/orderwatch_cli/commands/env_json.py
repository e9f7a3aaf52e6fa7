"""`orderwatch env-json`: files for `sam local invoke` that run a function here with the data of a deployed stack.

They are `env.json` with the variables of each deployed function, and an event for each function.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.alert_table import PENDING, AlertRow, AlertTable
from orderwatch.aws.dynamodb import Item, to_item
from orderwatch.errors import OrderwatchError
from orderwatch_cli import output, sam_events
from orderwatch_cli.arguments import Endpoint, Json, StackName
from orderwatch_cli.aws import Aws
from orderwatch_cli.commands.alerts import AlertFilter, find_alerts
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS
from orderwatch_cli.parameters import connected_shops
from orderwatch_cli.sam_events import Event
from orderwatch_cli.stack import FUNCTION, SCHEDULE, STACK_NAME, Stack, find_stack

FOLDER = Path("for-sam")
"""Default folder of the files; git ignores it."""
ENVIRONMENT = "env.json"
POLL_EVENT = "poll_orders_message.json"
ALERT_EVENT = "publish_alerts_stream.json"
SLACK_EVENT = "post_to_slack_message.json"
PAGE_EVENT = "handle_action_request.json"
ENDPOINT = "AWS_ENDPOINT_URL"
UNSET = (ENDPOINT, "HTTPS_PROXY", "NO_PROXY")
"""Variables that the template leaves unset by default, which SAM cannot resolve."""
MAX_ALERTS = 100
"""Records that the stream delivers at once."""
_SCHEDULED_EVENTS = {
    "DispatchPollsFunction": "dispatch_polls_schedule.json",
    "RedriveAlertsFunction": "redrive_alerts_schedule.json",
    "SendSummaryFunction": "send_summary_schedule.json",
}


class EnvJsonError(OrderwatchError):
    """The files cannot be written; the message says why and what to do."""


class Written(BaseModel):
    """Files that were written.

    Attributes:
        files: Their paths.
        notes: Limits of the events, and missing ones.
    """

    files: list[str]
    notes: list[str]


def env_json(
    into: Annotated[Path, typer.Option(help="Folder for the files.", metavar="FOLDER")] = FOLDER,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Write files for `sam local invoke`.

    Writes env.json and events. A function that you run with them changes the tables of the deployed stack and sends to
    its topics.
    """
    endpoint = endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
    if urlsplit(endpoint or "").hostname in LOOPBACK_HOSTS:
        raise EnvJsonError(
            f"a container cannot reach {endpoint}: start a local cloud for containers with `orderwatch up --for-sam`"
        )
    with Aws(endpoint_url=endpoint) as aws:
        written = write_all(find_stack(aws, stack_name), into, endpoint_url=endpoint)
    if json:
        output.document(written)
        return
    for path in written.files:
        output.line(f"wrote {path}")
    for note in written.notes:
        output.line(f"note: {note}")
    files = f"-e {into / POLL_EVENT} --env-vars {into / ENVIRONMENT}"
    output.line(f"for example: sam local invoke PollOrdersFunction {files}", to_copy=True)


def write_all(stack: Stack, folder: Path, *, endpoint_url: str | None = None) -> Written:
    """Write `env.json` and an event for each function of a deployed stack.

    Args:
        stack: The stack.
        folder: The folder, which is created if it is missing; older files are replaced.
        endpoint_url: Endpoint of AWS for the functions; None: the SDK's default.

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
    """Return the variables of each deployed function, for `--env-vars`.

    Without them, SAM passes invented names of tables, queues and topics, and the template's defaults.

    Args:
        stack: The stack.
        replaced: Values that replace the deployed ones if a function has the variable.
    """
    found = {}
    for function in stack.of_type(FUNCTION):
        configuration = stack.aws.functions.get_function_configuration(FunctionName=function.id)
        variables = {**dict.fromkeys(UNSET, ""), **configuration.get("Environment", {}).get("Variables", {})}
        found[function.name] = {name: replaced.get(name, value) for name, value in variables.items()}
    return found


def events_without_alerts(stack: Stack) -> dict[str, Event]:
    """Return the scheduled events, a request to the page of action links, and a poll of each connected shop.

    They have the names of their files; `POLL_EVENT` is the first poll.

    Raises:
        EnvJsonError: No shop is connected.
    """
    connection_ids = [shop.connection_id for shop in connected_shops(stack)]
    if not connection_ids:
        raise EnvJsonError(f"no shop is connected; connect one with: {stack.commands.own('connect CONNECTION_ID')}")
    events = {name: sam_events.tick(_schedule_arn(stack, function)) for function, name in _SCHEDULED_EVENTS.items()}
    events[PAGE_EVENT] = sam_events.page_request("not-signed")
    events["dispatch_polls_manual.json"] = {"connection_ids": connection_ids}
    queue_arn = queue_arn_of(stack, stack.outputs.poll_queue_url)
    for connection_id in connection_ids:
        name = POLL_EVENT if POLL_EVENT not in events else f"poll_orders_message_{connection_id}.json"
        events[name] = sam_events.poll(connection_id, queue_arn=queue_arn)
    return events


def alert_event(stack: Stack, rows: Sequence[Item]) -> Event:
    """Build the event of AlertTable's stream for these rows."""
    table = stack.aws.dynamodb.describe_table(TableName=stack.outputs.alert_table_name)["Table"]
    return sam_events.new_alerts(rows, stream_arn=table["LatestStreamArn"])


def alert_rows(stack: Stack, keys: Iterable[AlertKey]) -> list[Item]:
    """Return the rows of these alerts, in DynamoDB's notation."""
    answers = (
        stack.aws.dynamodb.get_item(TableName=stack.outputs.alert_table_name, Key=to_item(key._asdict()))
        for key in keys
    )
    return [answer["Item"] for answer in answers if "Item" in answer]


def queue_arn_of(stack: Stack, url: str) -> str:
    """Return the ARN of a queue of the stack."""
    return f"arn:aws:sqs:{_region_and_account(stack)}:{url.rpartition('/')[2]}"


def write(folder: Path, name: str, document: Any) -> Path:
    """Write one file atomically, readable only by its user.

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
        raise EnvJsonError(f"{path} cannot be written ({error.strerror}): choose another folder with --into") from None
    return path


def _alert_events(stack: Stack) -> tuple[dict[str, Event], list[str]]:
    """Return the events about one alert, and notes."""
    row = _example_alert(stack)
    if row is None:
        return {}, [f"no {ALERT_EVENT} and no {SLACK_EVENT}: the stack has no alert yet"]
    events, notes = {ALERT_EVENT: alert_event(stack, alert_rows(stack, [row.key]))}, []
    if row.state != PENDING:
        notes.append(
            "the alert was sent already, so publish_alerts sends nothing; "
            "docs/operations.md, Replay, explains how to make it pending"
        )
    if slack_queue := stack.resources.get("SlackQueue"):
        queue_arn = queue_arn_of(stack, slack_queue.id)
        events[SLACK_EVENT] = sam_events.slack_messages([row.alert] if row.alert else [], queue_arn=queue_arn)
        notes.append("post_to_slack does not post an alert that Slack received in the last two weeks")
    else:
        notes.append(f"no {SLACK_EVENT}: the stack is deployed without SlackEnabled")
    return events, notes


def _example_alert(stack: Stack) -> AlertRow | None:
    """Return the oldest pending alert, otherwise the newest one."""
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    oldest = islice(table.pending_since_before(clock.now()), 1)
    return next(chain(table.rows(oldest), find_alerts(stack, AlertFilter())), None)


def _schedule_arn(stack: Stack, function: str) -> str:
    name = next((each.id for each in stack.of_type(SCHEDULE) if each.name.startswith(function)), function)
    return f"arn:aws:scheduler:{_region_and_account(stack)}:schedule/default/{name}"


def _region_and_account(stack: Stack) -> str:
    return ":".join(stack.outputs.alert_topic_arn.split(":")[3:5])
