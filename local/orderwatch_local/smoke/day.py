"""The day of `make smoke`: deploys the shop and a stack that watches it, plays the rounds and compares the alerts."""

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.trackstar.client import Trackstar
from orderwatch_cli.commands.poll import poll_now
from orderwatch_cli.commands.redrive import redrive_alerts
from orderwatch_cli.parameters import put_shop
from orderwatch_cli.shop_check import UnusableShopError, check_shop
from orderwatch_cli.stack import Stack, find_stack
from orderwatch_local.cloud.account import Account
from orderwatch_local.cloud.inbox import JsonInbox
from orderwatch_local.cloud.sam import PROJECT, build, template_for_emulator, this_architecture
from orderwatch_local.demo.expected import expected_connection_alerts
from orderwatch_local.demo.run import Received, all_expected_alerts, compare_alerts, has_read, report, timed
from orderwatch_local.simulator import serve
from orderwatch_local.smoke.filters import KIND, FilteredInboxes
from orderwatch_local.smoke.shop_function import ROUNDS, SHOP, FunctionUrlProxy, ShortDay, save_moments

POLL_SECONDS = 180.0
"""Time limit of a poll; the first one in an account starts at the Scheduler's next minute."""
SHOP_SECONDS = 60.0
"""Time limit until the shop's URL answers."""
CHECK_EVERY = 0.2
"""Seconds between two checks of a cursor, the shop or the clock."""
_TEMPLATE = PROJECT / "local/smoke.yaml"


def shop_stack(name: str) -> str:
    """The name of the shop's stack."""
    return f"{name}-shop"


@dataclass(frozen=True)
class Keys:
    """The shop's secrets, new for each run."""

    api_key: SecretStr
    access_token: SecretStr


class PlayedDay:
    """The day that the deployed shop shows, played here as well, for its visible changes.

    Args:
        account: The account of the shop.
        table: The shop's table.
    """

    def __init__(self, account: Account, table: str) -> None:
        self._account = account
        self._table = table
        self.moments = [account.now()]
        self._day = ShortDay(self.moments[0])
        self.script = self._day.script
        self._save()

    def play_round(self) -> datetime:
        """Make the next three hours visible.

        Returns:
            The present moment; every poll from now on sees them.
        """
        self.moments.append(self._account.now())
        self._day.play(self.moments[-1])
        self._save()
        return self._next_second()

    def _next_second(self) -> datetime:
        # Trackstar's timestamps are whole seconds: a poll in this one may have begun before the round was saved.
        saved_at = self._account.now()
        while (now := self._account.now()) <= saved_at:
            time.sleep(CHECK_EVERY)
        return now

    def _save(self) -> None:
        save_moments(self._account.dynamodb, self._table, self.moments)


def play(console: Console, account: Account, name: str) -> bool:
    """Deploy both stacks, play the day, and compare the delivered alerts with the expected ones.

    Args:
        console: The terminal.
        account: The account to deploy to.
        name: The name of the stack, the bucket and the parameters' path. This function does not delete them.

    Returns:
        Whether every expected alert was delivered exactly once, to the right topic.

    Raises:
        LocalCloudError: A build or a deployment failed.
        UnusableShopError: The shop's URL does not answer as the API.
        TimeoutError: A poll or an alert did not come in time.
        InvocationError: A function failed.
    """
    started = time.monotonic()
    keys = Keys(SecretStr(secrets.token_urlsafe(32)), SecretStr(secrets.token_urlsafe(32)))
    with timed(console, "build the template"):
        template = build(this_architecture())
    account.create_bucket(name)
    with timed(console, f"deploy the stack {shop_stack(name)}"):
        shop = _deploy_shop(account, name, template, keys)
    day, alerts, ops = PlayedDay(account, shop["DayTableName"]), Received(), Received()
    with (
        _reachable(account, shop["ShopUrl"]) as url,
        JsonInbox(account.sqs, shop["AlertInboxUrl"], alerts.add_alert),
        JsonInbox(account.sqs, shop["OpsInboxUrl"], ops.add_alert),
        FilteredInboxes(account.sqs, shop) as filtered,
    ):
        with timed(console, "wait for the shop"):
            _await_shop(url, keys)
        with timed(console, f"deploy the stack {name}"):
            stack = _deploy_watch(account, name, template, url)
        _subscribe(stack, shop)
        filtered.subscribe(stack.aws.sns, stack.outputs.alert_topic_arn)
        _connect(stack, keys)
        _watch(console, stack, day, alerts, is_local=account.is_local)
        expected = all_expected_alerts(day.script)
        alerts.wait_for_alerts(expected, baselines=1)
        ops.wait_for_alerts(expected_connection_alerts(day.script.hours), baselines=0)
        is_filtered = filtered.report(console, expected=alerts.kinds[KIND])
    seconds = time.monotonic() - started
    polls = len(day.moments)
    is_complete = report(console, "A short day", day.script, alerts, expected=expected, polls=polls, seconds=seconds)
    return _operators_got_theirs(console, day, ops) and is_complete and is_filtered


def _deploy_shop(account: Account, name: str, template: Path, keys: Keys) -> dict[str, str]:
    parameters = {
        "Architecture": this_architecture(),
        "ApiKey": keys.api_key.get_secret_value(),
        "AccessToken": keys.access_token.get_secret_value(),
    }
    # In the folder of the build, whose layer it uses by a relative path.
    copy = template.with_name(f"{name}.yaml")
    shutil.copyfile(_TEMPLATE, copy)
    try:
        return account.deploy(copy, shop_stack(name), bucket=name, parameters=parameters)
    finally:
        copy.unlink()


@contextmanager
def _reachable(account: Account, function_url: str) -> Iterator[str]:
    """The URL at which a stack in this account reaches the shop."""
    if not account.is_local:
        yield function_url.rstrip("/")
        return
    with FunctionUrlProxy(account.endpoint_url, account.secret, function_url) as proxy, serve(proxy) as server:
        yield server.url


def _await_shop(url: str, keys: Keys) -> None:
    """Wait until the shop answers: a new permission takes a while to take effect in AWS.

    Raises:
        UnusableShopError: It does not answer; an account may forbid public URLs.
    """
    deadline = time.monotonic() + SHOP_SECONDS
    with Trackstar(url) as api:
        while True:
            try:
                check_shop(api, SHOP.connection_id, api_key=keys.api_key, access_token=keys.access_token)
            except UnusableShopError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(CHECK_EVERY)
            else:
                return


def _deploy_watch(account: Account, name: str, template: Path, trackstar_url: str) -> Stack:
    parameters = {
        "Architecture": this_architecture(),
        "ParameterPrefix": f"/{name}",
        "TrackstarBaseUrl": trackstar_url,
        "PollSchedule": "rate(1 minute)",
    }
    account.deploy(
        template_for_emulator(template) if account.is_local else template, name, bucket=name, parameters=parameters
    )
    return find_stack(account, name)


def _subscribe(stack: Stack, shop: Mapping[str, str]) -> None:
    topics = {"AlertInbox": stack.outputs.alert_topic_arn, "OpsInbox": stack.outputs.ops_topic_arn}
    for inbox, topic in topics.items():
        stack.aws.sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=shop[f"{inbox}Arn"], Attributes={"RawMessageDelivery": "true"}
        )


def _connect(stack: Stack, keys: Keys) -> None:
    stack.aws.ssm.put_parameter(
        Name=f"{stack.parameters.parameter_prefix}/trackstar/api-key",
        Value=keys.api_key.get_secret_value(),
        Type="SecureString",
    )
    put_shop(stack, SHOP.connection_id, access_token=keys.access_token, name="Smoke Test")


def _watch(console: Console, stack: Stack, day: PlayedDay, alerts: Received, *, is_local: bool) -> None:
    with timed(console, "the first poll: the baseline"):
        # In an account the Scheduler starts the first poll, which tests its permission.
        if is_local:
            poll_now(stack, [])
        _await_read(stack, day, day.moments[0])
        alerts.wait_for_alerts(Counter(), baselines=1)
    if not alerts.kinds["watch.started"]:
        raise TimeoutError("the baseline did not end: no watch.started was delivered")
    for number in range(1, ROUNDS + 1):
        with timed(console, f"round {number} of {ROUNDS}"):
            visible_at = day.play_round()
            poll_now(stack, [])
            _await_read(stack, day, visible_at)
    with timed(console, "redrive"):
        redrive_alerts(stack)


def _await_read(stack: Stack, day: PlayedDay, until: datetime) -> None:
    """Wait until the orders are read up to a moment, and the stock of the last sync was looked at.

    Raises:
        TimeoutError: It has not.
    """
    connections = ConnectionTable(stack.aws.dynamodb, stack.outputs.connection_table_name)
    deadline = time.monotonic() + POLL_SECONDS
    while not has_read(connections.load(SHOP.connection_id), day.script, until=until):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no poll finished within {POLL_SECONDS:.0f} s")
        time.sleep(CHECK_EVERY)


def _operators_got_theirs(console: Console, day: PlayedDay, ops: Received) -> bool:
    expected = expected_connection_alerts(day.script.hours)
    if ops.delivered == expected:
        return True
    console.print("OpsTopic:", style="red")
    return compare_alerts(console, expected, ops)
