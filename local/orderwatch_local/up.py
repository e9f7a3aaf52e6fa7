"""`orderwatch up`: watch your own shops from a laptop, before there is any AWS account."""

import os
import shlex
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from rich.console import Console

from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_cli.shop_check import Api, Flaw, UnusableShopError, check_shop
from orderwatch_cli.show import printable_json, printable_text
from orderwatch_local import for_sam
from orderwatch_local.cloud import LocalCloud
from orderwatch_local.containers import find_doorway
from orderwatch_local.inbox import JsonInbox, Mail, Mailbox
from orderwatch_local.watch import Watch, WatchedShop, watching

LOOK_EVERY = 5.0
"""Seconds between two looks at how the polls fare."""
SILENT_AFTER = 180.0
"""Seconds without a successful poll after which the reason is shown."""


@dataclass(frozen=True)
class Request:
    """What to watch.

    Attributes:
        trackstar_url: Where the API is.
        api_key: The organisation's key.
        shops: The connections.
        schedule: How often to poll, as EventBridge Scheduler writes it.
        statuses: The watched statuses, separated by commas.
        port: The local cloud's port; 0 takes a free one.
        for_sam: Whether the functions run by `sam local invoke` alone.
    """

    trackstar_url: str
    api_key: SecretStr
    shops: Sequence[WatchedShop]
    schedule: str
    statuses: str
    port: int = 0
    for_sam: bool = False


def check(request: Request) -> list[TrackstarConnection]:
    """Ask the API for every shop, so that what is wrong is said before anything is started.

    Raises:
        UnusableShopError: A key, token, connection or URL is wrong.
    """
    with Api(request.trackstar_url) as trackstar:
        return [_check_one(request, shop, trackstar) for shop in request.shops]


def _check_one(request: Request, shop: WatchedShop, trackstar: Api) -> TrackstarConnection:
    connection_id = shop.connection_id
    try:
        return check_shop(trackstar, connection_id, api_key=request.api_key, access_token=shop.access_token).connection
    except UnusableShopError as error:
        remedy = {
            Flaw.API_KEY: "set TRACKSTAR_API_KEY to your organisation's key",
            Flaw.CONNECTION: "see Connections in its dashboard for the id",
            Flaw.ACCESS_TOKEN: f"set {token_variable(connection_id)}",
            Flaw.API: f"check --trackstar-url {request.trackstar_url}",
            Flaw.ORDERS: "look at the connection in Trackstar's dashboard",
        }[error.flaw]
        raise UnusableShopError(error.flaw, f"{error}: {remedy}") from None


def token_variable(connection_id: str) -> str:
    """The environment variable that holds one connection's access token."""
    return f"TRACKSTAR_ACCESS_TOKEN_{connection_id}"


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
    for connection in check(request):
        integration = connection.integration_name or "integration unknown"
        log.print(printable_text(f"found {connection.connection_id} ({integration})"))
    parameters = {
        "TrackstarBaseUrl": request.trackstar_url,
        "PollSchedule": request.schedule,
        "AlertStatuses": request.statuses,
        **(for_sam.PARAMETERS if doorway else {}),
    }

    def step(what: str) -> AbstractContextManager[object]:
        log.print(f"{what} ...")
        return log.status(what)

    with (
        watching(request.shops, api_key=request.api_key, parameters=parameters, step=step, port=request.port) as watch,
        _inbox(watch, out, as_json=as_json),
    ):
        if doorway:
            until = until or threading.Event()
            for_sam.run_for_sam(watch, doorway, trackstar_url=request.trackstar_url, log=log, until=until)
            return
        watch.poll_now()
        log.print(f"watching {len(request.shops)} shop(s), {request.schedule}; Ctrl-C ends it")
        log.print(f"look into it: orderwatch shops --endpoint-url {watch.cloud.endpoint}", soft_wrap=True)
        log.print(f"or with the AWS CLI: {_aws_command(watch.cloud)}", soft_wrap=True, highlight=False)
        _stand_by(watch, log, until or threading.Event())


def _aws_command(cloud: LocalCloud) -> str:
    credentials = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(cloud.credentials_file))} AWS_PROFILE=default"
    return f"{credentials} aws --region {LOCAL_REGION} --endpoint-url {cloud.endpoint} ssm describe-parameters"


def _inbox(watch: Watch, out: Console, *, as_json: bool) -> AbstractContextManager[object]:
    topic = watch.outputs.alert_topic_arn
    if as_json:
        return JsonInbox(watch.cloud, topic, lambda body: show_json(out, body))
    return Mailbox(watch.cloud, topic, lambda mail: show_mail(out, mail))


def show_json(out: Console, body: str) -> None:
    """Print an alert as one line of JSON."""
    out.file.write(printable_json(body) + "\n")
    out.file.flush()


def show_mail(out: Console, mail: Mail) -> None:
    """Print a mail as its reader gets it."""
    out.print(printable_text(mail.subject, "bold"))
    out.print(printable_text(mail.text))


def _stand_by(watch: Watch, log: Console, until: threading.Event) -> None:
    """Wait, and say so once when polls stop succeeding: silence is never taken for health."""
    begun = datetime.now(UTC)
    complained = False
    while not until.wait(LOOK_EVERY):
        silent = [state.connection_id for state in watch.states() if _is_silent(state.last_success_at or begun)]
        if silent and not complained:
            log.print(f"no successful poll of {', '.join(silent)} for {SILENT_AFTER:.0f} s; poll_orders logged:")
            log.print(printable_text(watch.cloud.logs(watch.outputs.poll_orders_function_name, lines=5)))
        complained = bool(silent)


def _is_silent(last_success: datetime) -> bool:
    return (datetime.now(UTC) - last_success).total_seconds() > SILENT_AFTER
