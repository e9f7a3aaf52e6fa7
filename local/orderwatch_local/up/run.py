"""`orderwatch up`: watch your own shops from a laptop, before there is any AWS account."""

import os
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta

from rich.console import Console

from orderwatch import clock
from orderwatch.rendering import email
from orderwatch.rendering.formatting import plural
from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_cli.pasting import program
from orderwatch_local.cloud import for_sam
from orderwatch_local.cloud.containers import find_doorway
from orderwatch_local.cloud.inbox import JsonInbox, Mail, Mailbox
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.watch import Watch, watching
from orderwatch_local.up.checks import Request, check, doubts
from orderwatch_local.up.screen import Screen
from orderwatch_local.up.status import DeadlineState, PollLog, PollNews, period_of

LOOK_EVERY = 1.0
"""Seconds between two looks at how the polls fare."""


def run_up(
    request: Request, *, out: Console, log: Console, as_json: bool, until: threading.Event | None = None
) -> None:
    """Watch until interrupted.

    Args:
        request: What to watch.
        out: Where alerts go.
        log: Where everything else goes.
        as_json: One `orderwatch.alert.v1` a line instead of the e-mail's text.
        until: Ends the watch when set; without it only an interrupt does.

    Raises:
        UnusableShopError: A key, token, connection or URL is wrong.
        LocalCloudError: The local cloud did not start, build or deploy; or no container could reach it.
    """
    doorway = find_doorway(os.environ) if request.for_sam else None
    screen = Screen(out, log, as_json=as_json)
    until = until or threading.Event()
    with _started(request, screen) as watch, _inboxes(watch, screen, as_json=as_json):
        if doorway:
            for_sam.run_for_sam(watch, doorway, trackstar_url=request.trackstar_url, log=log, until=until)
            return
        _introduce(request, watch, screen)
        with nullcontext() if as_json else _summed_up(watch, screen):
            _stand_by(request, watch, screen, until)


@contextmanager
def _started(request: Request, screen: Screen) -> Iterator[Watch]:
    """Everything checked, deployed and connected."""
    for report_unknown in doubts(request.statuses):
        screen.say(f"warning: {report_unknown}")
    for connection in check(request):
        screen.say(f"found {connection.connection_id} ({connection.integration_name or 'integration unknown'})")
    parameters = {
        "TrackstarBaseUrl": request.trackstar_url,
        "PollSchedule": request.schedule,
        "MaxPollGapMinutes": "1",  # somebody looks on, and takes silence for trouble
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
def _summed_up(watch: Watch, screen: Screen) -> Iterator[None]:
    """However the watch ends that goes on inside, the last that is shown is what waits."""
    try:
        yield
    except KeyboardInterrupt:
        _show_summary(watch, screen)
        raise
    _show_summary(watch, screen)


def _show_summary(watch: Watch, screen: Screen) -> None:
    alert = watch.sum_up(send=False)
    screen.show_mail(Mail(email.subject(alert), email.body(alert), time.monotonic()))


def _introduce(request: Request, watch: Watch, screen: Screen) -> None:
    often = f"every {request.every:g} s" if request.every else f"by {request.schedule}"
    screen.say(f"watching {plural(len(request.shops), 'shop')}, polled {often}; Ctrl-C ends it")
    screen.say(f"look into it: {program()} shops --endpoint-url {watch.cloud.endpoint}", to_copy=True)
    screen.say(f"or with the AWS CLI: {_aws_command(watch.cloud)}", to_copy=True)


def _aws_command(cloud: LocalCloud) -> str:
    credentials = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(cloud.credentials_file))} AWS_PROFILE=default"
    return f"{credentials} aws --region {LOCAL_REGION} --endpoint-url {cloud.endpoint} ssm describe-parameters"


def _stand_by(request: Request, watch: Watch, screen: Screen, until: threading.Event) -> None:
    """Poll, and say how the polls fare: silence is never taken for health."""
    names = {shop.connection_id: shop.name or shop.connection_id for shop in request.shops}
    every = timedelta(seconds=request.every) if request.every else None
    deadline_state = DeadlineState(names, every or period_of(request.schedule), begun=clock.now())
    log = PollLog(watch.cloud.client("logs"), watch.cloud.log_group(watch.outputs.poll_orders_function_name))
    watch.poll_now()
    with screen.showing(deadline_state):
        while not until.wait(LOOK_EVERY):
            if every and deadline_state.polled_well and clock.now() >= deadline_state.asked_at + every:
                deadline_state.asked_at = clock.now()
                watch.poll_now(deadline_state.polled_well)
            news = log.news()
            if news:
                _take(news, deadline_state, watch, screen)
                deadline_state.asked_at = deadline_state.asked_at if every else news[-1].at
            for line in deadline_state.suppression(clock.now()):
                screen.report(line)
            screen.update(deadline_state)


def _take(news: Sequence[PollNews], deadline_state: DeadlineState, watch: Watch, screen: Screen) -> None:
    for line in filter(None, map(deadline_state.acquire, news)):
        screen.report(line)
    deadline_state.vendor_time = max(filter(None, (state.cursor for state in watch.states())), default=None)
