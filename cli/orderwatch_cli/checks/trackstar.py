"""Checks of the API key, the clock, and each shop's token, connection and polls."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pydantic import SecretStr

from orderwatch import clock
from orderwatch.aws.parameters import Parameters
from orderwatch.clock import duration
from orderwatch.errors import ParameterMissingError
from orderwatch.polling.health import assess
from orderwatch.records import HealthState
from orderwatch.trackstar.client import Trackstar
from orderwatch_cli.checks.report import Finding, fail, ok
from orderwatch_cli.command_hints import Commands
from orderwatch_cli.parameters import NamedShop, access_tokens, named_shops
from orderwatch_cli.shop_check import CheckedShop, Flaw, UnusableShopError, check_api_key, check_shop
from orderwatch_cli.shop_status import PolledShop, polled_shops
from orderwatch_cli.stack import Stack

MAX_CLOCK_DIFFERENCE = timedelta(minutes=1)
MAX_POLL_AGE_WITH_CRON = timedelta(days=1)
"""Age at which a poll is late if the schedule is a cron expression, which has no single interval."""
_HEALTH_REMEDIES = {
    HealthState.BLOCKED: "reconnect the shop in Trackstar",
    HealthState.INITIAL_SYNC: "wait until Trackstar has finished the first sync",
    HealthState.STALE: "check the shop's sync in Trackstar",
}
_STORE_KEY = "store your organisation's key"
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


def check_trackstar(stack: Stack) -> Iterator[Finding]:
    """Check the key, the clock, and each shop's token, connection and polls."""
    api_key = _stored_api_key(stack)
    findings = _key_findings(stack, api_key) if api_key else [_missing_key(stack)]
    yield from findings
    yield from _shop_findings(stack, api_key if findings[0].ok else None)


def _stored_api_key(stack: Stack) -> SecretStr | None:
    try:
        return Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).api_key()
    except ParameterMissingError:
        return None


def _missing_key(stack: Stack) -> Finding:
    name = f"{stack.parameters.parameter_prefix}/trackstar/api-key"
    return fail("API key", f"{name} is missing", _STORE_KEY, stack.commands.own("connect-trackstar"))


def _key_findings(stack: Stack, api_key: SecretStr) -> list[Finding]:
    base_url, subject = stack.parameters.trackstar_base_url, "API key"
    try:
        date = check_api_key(base_url, api_key)
    except UnusableShopError as error:
        if error.flaw is Flaw.API_KEY:
            return [fail(subject, str(error), _STORE_KEY, stack.commands.own("connect-trackstar"))]
        return [fail(subject, str(error), "check the parameter TrackstarBaseUrl and Trackstar's status page")]
    is_simulated = not base_url.startswith("https://")
    return [ok(subject, "accepted"), clock_finding(date, now=clock.now(), is_simulated=is_simulated)]


def clock_finding(date: str | None, *, now: datetime, is_simulated: bool = False) -> Finding:
    """Compare this machine's clock with Trackstar's.

    Args:
        date: Trackstar's `Date` header.
        now: Our clock when it arrived.
        is_simulated: Whether Trackstar is simulated, so that its clock may be any.
    """
    try:
        vendor_now = parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return ok("clock", "Trackstar sends no valid date")
    difference = abs(now - vendor_now)
    if is_simulated and difference > MAX_CLOCK_DIFFERENCE:
        return ok("clock", f"differs by {duration(difference)} from the simulated shop's, which is expected")
    if difference > MAX_CLOCK_DIFFERENCE:
        found = f"this machine's and Trackstar's clock differ by {duration(difference)}"
        return fail("clock", found, "synchronise this machine's clock (NTP), or contact Trackstar's support")
    return ok("clock", "within a minute of Trackstar's")


def _shop_findings(stack: Stack, api_key: SecretStr | None) -> Iterator[Finding]:
    shops = named_shops(stack)
    if not shops:
        command = stack.commands.own("connect CONNECTION_ID")
        yield fail("shops", "no shop is connected", "connect one by its ID", command)
    tokens = access_tokens(stack)
    polled = polled_shops(stack, [shop.connection_id for shop in shops])
    with Trackstar(stack.parameters.trackstar_base_url) as api:
        for shop in shops:
            if not shop.has_token:
                command = stack.commands.own(f"connect {shop.connection_id}")
                yield fail(f"{shop.connection_id} token", "missing", "store one", command)
                continue
            if api_key:
                yield from _access_findings(stack, api, shop, api_key=api_key, tokens=tokens)
            yield polls_finding(
                shop.connection_id,
                polled.get(shop.connection_id, PolledShop()),
                interval=poll_interval(stack.parameters.poll_schedule),
                gap=timedelta(minutes=stack.parameters.max_poll_gap_minutes),
                now=clock.now(),
                commands=stack.commands,
            )


def _access_findings(
    stack: Stack, api: Trackstar, shop: NamedShop, *, api_key: SecretStr, tokens: Mapping[str, SecretStr]
) -> Iterator[Finding]:
    connection_id = shop.connection_id
    uses = Counter(token.get_secret_value() for token in tokens.values())
    if uses[tokens[connection_id].get_secret_value()] > 1:
        found = "another shop has the same token"
        yield fail(f"{connection_id} token", found, "store its own", stack.commands.own(f"connect {connection_id}"))
        return
    try:
        checked = check_shop(api, connection_id, api_key=api_key, access_token=tokens[connection_id])
    except UnusableShopError as error:
        yield fail(f"{connection_id} token", str(error), *_remedy(stack, error.flaw, connection_id))
        return
    yield ok(f"{connection_id} token", "accepted")
    yield health_finding(connection_id, checked)
    if checked.connection.are_products_blocked:
        remedy = "have the shop grant Trackstar access to its products; until then alerts lack product details"
        yield fail(f"{connection_id} products", "Trackstar cannot sync them", remedy)


def _remedy(stack: Stack, flaw: Flaw, connection_id: str) -> tuple[str, ...]:
    if flaw is Flaw.ACCESS_TOKEN:
        return "store a valid one", stack.commands.own(f"connect {connection_id}")
    if flaw is Flaw.CONNECTION:
        disconnect = stack.commands.own(f"disconnect {connection_id}")
        return "connect the shop in Trackstar again, or stop watching it", disconnect
    return ("check the connection in Trackstar's dashboard",)


def health_finding(connection_id: str, checked: CheckedShop) -> Finding:
    """Check the health of the connection, and show the age of Trackstar's data."""
    subject = f"{connection_id} connection"
    health = assess(checked.connection, now=checked.vendor_now)
    if health.state is not HealthState.HEALTHY:
        first_sentence = health.detail.partition(". ")[0].rstrip(".")
        return fail(subject, f"{health.state}: {first_sentence}", _HEALTH_REMEDIES[health.state])
    synced_at = checked.connection.orders_schedule.synced_at
    fresh = f"synced {duration(checked.vendor_now - synced_at)} ago" if synced_at else "no sync reported"
    return ok(subject, f"healthy, {fresh}")


def poll_interval(schedule: str) -> timedelta | None:
    """Return the interval of a `rate(...)`; None for a cron expression."""
    found = _RATE.fullmatch(schedule)
    return timedelta(**{f"{found[2]}s": int(found[1])}) if found else None


def polls_finding(
    connection_id: str,
    polled: PolledShop,
    *,
    interval: timedelta | None,
    gap: timedelta,
    now: datetime,
    commands: Commands,
) -> Finding:
    """Check that the last poll is not older than three intervals of the schedule, or two gaps if they are longer.

    Args:
        connection_id: The shop's connection.
        polled: The result of its last poll.
        interval: Interval of the schedule; None for a cron expression.
        gap: Maximum time between two polls of a shop without changes.
        now: Our clock.
        commands: Builds the remedy.
    """
    subject = f"{connection_id} polls"
    remedy = f"read the log for the reason ({commands.own('logs poll-orders')}), or poll the shop now"
    command = commands.own(f"poll {connection_id}")
    if polled.is_stuck:
        found = "the list of orders has no end: Trackstar refuses or repeats its page tokens"
        return fail(subject, found, "contact Trackstar's support, then begin again", f"{command} --restart")
    if polled.last_poll_at is None:
        if polled.is_reading:
            return ok(subject, "the first poll is reading its history")
        return fail(subject, "never polled", remedy, command)
    age = now - polled.last_poll_at
    late = max(3 * interval, 2 * gap) if interval else MAX_POLL_AGE_WITH_CRON
    found = f"the last success was {duration(age)} ago"
    return fail(subject, found, remedy, command) if age > late else ok(subject, found)
