"""`orderwatch up`: watch your own shops from this machine, without an AWS account."""

import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta

from rich.console import Console

from orderwatch import clock
from orderwatch.rendering import email
from orderwatch.rendering.formatting import plural
from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_cli.command_hints import program
from orderwatch_local.cloud import for_sam
from orderwatch_local.cloud.containers import find_container_network
from orderwatch_local.cloud.inbox import JsonInbox, Mail, Mailbox
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.watch import Watch, watching
from orderwatch_local.simulator.interactive import Prompt
from orderwatch_local.up.checks import Request, check, unknown_status_warnings
from orderwatch_local.up.screen import Screen
from orderwatch_local.up.status import PollLog, WatchStatus, interval_of

CHECK_EVERY = 1.0
"""Seconds between two reads of the poll log."""
BASELINE_SECONDS = 60.0
"""Longest time to wait for the baselines before commands are read."""


def run_up(
    request: Request,
    *,
    out: Console,
    log: Console,
    as_json: bool,
    until: threading.Event | None = None,
    prompt: Prompt | None = None,
) -> None:
    """Watch until interrupted.

    Args:
        request: What to watch.
        out: Gets the alerts.
        log: Gets everything else.
        as_json: Print one `orderwatch.alert.v1` a line instead of the e-mail's text.
        until: Ends the watch when set; without it, only an interrupt does.
        prompt: Reads commands for the watched shop during the watch; its end ends the watch.

    Raises:
        UnusableShopError: A key, token, connection or URL is wrong.
        LocalCloudError: The local cloud did not start, build or deploy, or containers cannot reach it.
        Exit: Nobody reads `out` any more.
    """
    network = find_container_network(os.environ) if request.for_sam else None
    screen = Screen(out, log, as_json=as_json, has_prompt=prompt is not None and prompt.is_interactive)
    over = until or threading.Event()
    with _started(request, screen) as watch, _inboxes(watch, screen, as_json=as_json):
        if network:
            url = request.trackstar_url
            _attend(lambda: for_sam.run_for_sam(watch, network, trackstar_url=url, log=log, until=over), prompt, over)
            return
        _show_introduction(request, watch, screen)
        status = _new_status(request)
        if prompt:
            prompt.add_status(lambda: status.full_line(clock.now()))
        with nullcontext() if as_json else _summary_at_end(watch, screen):
            _attend(
                lambda: _poll_until(over, request, watch, screen, status),
                prompt,
                over,
                lambda: _invite(watch, screen, over),
            )


def _attend(
    work: Callable[[], None], prompt: Prompt | None, over: threading.Event, invite: Callable[[], None] | None = None
) -> None:
    """Do the work until it is over. With a prompt, do it in another thread while this one reads commands.

    Commands are read by the main thread, because an interrupt of it restores the settings of the terminal.

    Args:
        work: Ends when `over` is set.
        prompt: Its end ends the work; the end of a pipe does not.
        over: The end.
        invite: Called before the first command is read.
    """
    if prompt is None:
        work()
        return
    with _in_background(work, over):
        if invite:
            invite()
        if not prompt.serve():
            over.wait()


@contextmanager
def _in_background(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Do the work in a thread until the block ends. An error of the work interrupts the block and is raised by it."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            errors.append(error)
            if not over.is_set():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    worker = threading.Thread(target=run, name="watch")
    try:
        worker.start()
        yield
    except KeyboardInterrupt:
        if not errors:
            raise
    finally:
        over.set()
        worker.join()
    if errors:
        raise errors[0]


def _invite(watch: Watch, screen: Screen, over: threading.Event) -> None:
    """Say what to type, once the baselines are read: a change before that raises no alert."""
    until = time.monotonic() + BASELINE_SECONDS
    while time.monotonic() < until and not all(each.cursor.baseline_completed_at for each in watch.states()):
        if over.wait(CHECK_EVERY):
            return
    screen.say("change an order, for example:")
    screen.say('fail 1042 exception "Address verification failed"', to_copy=True)
    screen.say("`orders` lists orders, `status` shows the watch, `help` lists all commands, `quit` stops it")


@contextmanager
def _started(request: Request, screen: Screen) -> Iterator[Watch]:
    """Check the request, deploy orderwatch and connect the shops."""
    for warning in unknown_status_warnings(request.statuses):
        screen.say(f"warning: {warning}")
    for connection in check(request):
        screen.say(f"found {connection.connection_id} ({connection.integration_name or 'integration unknown'})")
    parameters = {
        "TrackstarBaseUrl": request.trackstar_url,
        "PollSchedule": request.schedule,
        "MaxPollGapMinutes": "1",  # the user watches the status line: poll even if nothing changed
        "AlertStatuses": request.statuses,
        **(for_sam.PARAMETERS if request.for_sam else {}),
    }
    with watching(
        request.shops, api_key=request.api_key, parameters=parameters, step=screen.step, port=request.port
    ) as watch:
        yield watch


@contextmanager
def _inboxes(watch: Watch, screen: Screen, *, as_json: bool) -> Iterator[None]:
    """Show what both topics send."""
    alerts, operators = watch.outputs.alert_topic_arn, watch.outputs.ops_topic_arn
    with ExitStack() as stack:
        if as_json:
            queue_url = watch.cloud.subscribe_queue(alerts, operators)
            stack.enter_context(JsonInbox(watch.cloud.client("sqs"), queue_url, screen.show_json))
        else:
            stack.enter_context(Mailbox(watch.cloud, alerts, screen.show_mail))
            to_operators = Mailbox(watch.cloud, operators, lambda mail: screen.show_mail(mail, for_operators=True))
            stack.enter_context(to_operators)
        yield


@contextmanager
def _summary_at_end(watch: Watch, screen: Screen) -> Iterator[None]:
    """Show the summary when the block ends normally or by Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        _show_summary(watch, screen)
        raise
    _show_summary(watch, screen)


def _show_summary(watch: Watch, screen: Screen) -> None:
    alert = watch.summarize(send=False)
    screen.show_mail(Mail(email.subject(alert), email.body(alert), time.monotonic()))


def _show_introduction(request: Request, watch: Watch, screen: Screen) -> None:
    often = f"every {request.every:g} s" if request.every else f"by {request.schedule}"
    screen.say(f"watching {plural(len(request.shops), 'shop')}, polled {often}; Ctrl-C stops it")
    screen.say("inspect it, in another terminal:")
    screen.say(f"{program()} shops --endpoint-url {watch.cloud.endpoint}", to_copy=True)
    screen.say("or with the AWS CLI:")
    for line in _aws_commands(watch.cloud):
        screen.say(line, to_copy=True)


def _aws_commands(cloud: LocalCloud) -> list[str]:
    return [
        f"export AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(cloud.credentials_file))}",
        f"export AWS_PROFILE=default AWS_REGION={LOCAL_REGION}",
        f"aws --endpoint-url {cloud.endpoint} ssm describe-parameters",
    ]


def _new_status(request: Request) -> WatchStatus:
    names = {shop.connection_id: shop.name or shop.connection_id for shop in request.shops}
    return WatchStatus(names, _every(request) or interval_of(request.schedule), started_at=clock.now())


def _every(request: Request) -> timedelta | None:
    return timedelta(seconds=request.every) if request.every else None


def _poll_until(until: threading.Event, request: Request, watch: Watch, screen: Screen, status: WatchStatus) -> None:
    """Poll and show the status."""
    every = _every(request)
    log = PollLog(watch.cloud.client("logs"), watch.cloud.log_group(watch.outputs.poll_orders_function_name))
    watch.poll_now()
    with screen.showing(status):
        while not until.wait(CHECK_EVERY):
            screen.check_reader()
            if every and status.healthy_shops and clock.now() >= status.requested_at + every:
                status.requested_at = clock.now()
                watch.poll_now(status.healthy_shops)
            results = log.new_results()
            for message in filter(None, map(status.record, results)):
                screen.report(message)
            if results:
                states = watch.states()
                status.vendor_time = max(filter(None, (state.cursor.position for state in states)), default=None)
                status.record_health(states, clock.now())
                status.requested_at = status.requested_at if every else results[-1].at
            for message in status.overdue_messages(clock.now()):
                screen.report(message)
            screen.update(status)
