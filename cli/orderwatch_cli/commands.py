"""The operator's commands as they are typed; `listings` has those that only list."""

from decimal import Decimal
from typing import Annotated

import typer

from orderwatch.rendering import email
from orderwatch.rendering.formatting import plural
from orderwatch_cli import connecting, connecting_slack, dead_letters, functions, show, trial
from orderwatch_cli.arguments import ConnectionId, Endpoint, Json, StackName, read_secret, stack_at
from orderwatch_cli.aws import Aws
from orderwatch_cli.doctor import examine
from orderwatch_cli.stack import STACK_NAME

app = typer.Typer(rich_markup_mode=None)


@app.command()
def doctor(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Check all that alerts depend on.

    What is wrong is named with what to do about it; the exit code is then 1.
    """
    with Aws(endpoint_url=endpoint_url) as aws:
        examination = examine(aws, stack_name)
    if json:
        show.document(examination)
    else:
        for each in examination.lines(show.terminal_width()):
            show.line(each)
    raise typer.Exit(0 if examination.ok else 1)


@app.command()
def connect(
    connection_id: ConnectionId,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What alerts call the shop.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Watch a shop, or replace its token.

    The token is asked for, or read from standard input, and checked at Trackstar's API before it is stored. It is no
    argument: other users of this machine could see it there.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        token = read_secret(f"access token of {connection_id}")
        connected = connecting.connect(stack, connection_id, access_token=token, name=name)
    if json:
        show.document(connected)
        return
    show.line(f"connected {connection_id} ({connected.integration or 'integration unknown'}, {connected.health})")
    show.line("The next tick polls it. A new shop's first poll records its history and alerts nothing of it.")


@app.command("connect-trackstar")
def connect_trackstar(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Store your Trackstar API key.

    The first one or another. It is asked for, or read from standard input, and checked at Trackstar's API before it is
    stored.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        stored = connecting.connect_trackstar(stack, read_secret("Trackstar API key"))
    if json:
        show.document(stored)
        return
    show.line(f"Trackstar accepts the API key: stored in {stored.parameter}")
    show.line("The functions take it up within five minutes.")


@app.command("connect-slack")
def connect_slack(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Store your Slack webhook's URL.

    The first one or another. It is asked for, or read from standard input. A test message is posted there before it is
    stored.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        connected = connecting_slack.connect_slack(stack, read_secret("URL of the incoming webhook"))
    if json:
        show.document(connected)
        return
    show.line(f"Slack took a test message: the URL is stored in {connected.parameter}")
    if connected.is_enabled:
        show.line("The function takes it up within five minutes.")
    else:
        show.line("This stack does not post to Slack yet; this switches it on, in the repository:")
        show.line(f"sam deploy --stack-name {stack_name} --parameter-overrides SlackEnabled=true")


@app.command()
def disconnect(
    connection_id: ConnectionId,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop watching a shop.

    Its token, name and settings are deleted; its orders, cursor and alerts stay.
    """
    if not yes:
        typer.confirm(f"stop watching {connection_id}?", abort=True, err=True)
    with stack_at(stack_name, endpoint_url) as stack:
        connecting.disconnect(stack, connection_id)
    show.line(f"disconnected {connection_id}: its token, name and settings are deleted")
    show.line("Its orders, cursor and alerts stay: if it is connected again, what changed in between is alerted.")


@app.command()
def poll(
    connection_ids: Annotated[
        list[str] | None, typer.Argument(metavar="CONNECTION_ID", help="Which; all without any.")
    ] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Poll shops now.

    A tick polls only those where something may have moved.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        asked = functions.poll_now(stack, connection_ids or [])
    if json:
        show.document(asked)
    else:
        show.line(f"polling {', '.join(asked.connection_ids)}")


@app.command()
def redrive(
    dead: Annotated[
        str | None, typer.Option("--dead-letters", metavar="QUEUE", help="Move this queue's messages back.")
    ] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send what is overdue.

    Sends the alerts that have been pending for ten minutes; with --dead-letters it moves a queue's dead letters back to
    where they came from, instead: SlackDeadLetterQueue or PollDeadLetterQueue.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        done = dead_letters.redrive_dead_letters(stack, dead) if dead else functions.redrive(stack)
    if json:
        show.document(done)
    else:
        show.line(_redriven(done))


def _redriven(done: dead_letters.Moved | functions.Redriven) -> str:
    if isinstance(done, dead_letters.Moved):
        return f"moved {plural(done.messages, 'message')} from {done.source} to {done.target}"
    counts = f"sent {plural(done.sent, 'alert')}, {done.unsent} could not be sent, {done.still_pending} still pending"
    return f"{counts} (the stream's until they are ten minutes old)"


@app.command()
def summary(
    *,
    send: Annotated[bool, typer.Option("--send", help="Send it too, to everybody.")] = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show what waits in every shop.

    As the morning summary tells it: how many orders, how late, what they are worth, and with which to begin.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        summed = functions.sum_up(stack, send=send)
    if json:
        show.document(summed.alert)
        return
    for each in email.body(summed.alert).splitlines():
        show.line(each)
    if summed.is_written:
        show.line("It is sent to AlertTopic now.")


@app.command("test-alert")
def send_test_alert(
    status: Annotated[str, typer.Option(metavar="STATUS", help="The status of its order.")] = "exception",
    shop: Annotated[str, typer.Option(metavar="CONNECTION_ID", help="The shop that it names.")] = trial.TEST_CONNECTION,
    value: Annotated[float, typer.Option(min=0, metavar="AMOUNT", help="The order's total in US dollars.")] = 1.0,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send a test alert everywhere.

    It is clearly marked. Says which subscriptions it should reach by their filter policies.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        sent = trial.send_test_alert(stack, status=status, connection_id=shop, total_price=Decimal(str(value)))
    if json:
        show.document(sent)
        return
    show.line(f"sent: {sent.subject} (alert {sent.alert_id})")
    rows = [(each.protocol, each.endpoint, _YES[each.should_receive], each.reason) for each in sent.recipients]
    show.table(("channel", "to", "should get it", "because"), rows, empty="but nobody is subscribed")


_YES = {True: "yes", False: "no", None: "unknown"}
