"""doctor's look at the vendor's side: the key, the clock, and each shop."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pydantic import SecretStr

from orderwatch import clock
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.tables import ConnectionTable
from orderwatch.clock import duration
from orderwatch.errors import ParameterMissingError
from orderwatch.polling.cursor import ConnectionState
from orderwatch.polling.health import assess
from orderwatch.records import HealthState
from orderwatch_cli.findings import Finding, bad, good
from orderwatch_cli.pasting import Commands
from orderwatch_cli.shop_check import Api, CheckedShop, Flaw, UnusableShopError, check_api_key, check_shop
from orderwatch_cli.shop_parameters import NamedShop, access_tokens, named_shops
from orderwatch_cli.stack import Stack

CLOCKS_AGREE_WITHIN = timedelta(minutes=1)
POLL_AGE_WITHOUT_RATE = timedelta(days=1)
"""What is late where the schedule is a cron expression, whose interval is not one number."""
_HEALTH_REMEDIES = {
    HealthState.BLOCKED: "reconnect the shop in Trackstar",
    HealthState.INITIAL_SYNC: "wait until Trackstar has finished its first sync",
    HealthState.STALE: "look at the shop's sync in Trackstar",
}
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


def examine_trackstar(stack: Stack) -> Iterator[Finding]:
    """The key, the clocks, and each shop's token, health and polls."""
    api_key = _stored_api_key(stack)
    findings = _examine_key(stack, api_key) if api_key else [_missing_key(stack)]
    yield from findings
    yield from _examine_shops(stack, api_key if findings[0].ok else None)


def _stored_api_key(stack: Stack) -> SecretStr | None:
    try:
        return Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).api_key()
    except ParameterMissingError:
        return None


def _missing_key(stack: Stack) -> Finding:
    name = f"{stack.parameters.parameter_prefix}/trackstar/api-key"
    return bad("API key", f"{name} is missing", "put your organisation's", stack.commands.own("connect-trackstar"))


def _examine_key(stack: Stack, api_key: SecretStr) -> list[Finding]:
    base_url, subject = stack.parameters.trackstar_base_url, "API key"
    try:
        date = check_api_key(base_url, api_key)
    except UnusableShopError as error:
        if error.flaw is Flaw.API_KEY:
            return [bad(subject, str(error), "put your organisation's", stack.commands.own("connect-trackstar"))]
        return [bad(subject, str(error), "check the parameter TrackstarBaseUrl, and Trackstar's status")]
    is_simulated = not base_url.startswith("https://")
    return [good(subject, "accepted"), clock_finding(date, now=clock.now(), is_simulated=is_simulated)]


def clock_finding(date: str | None, *, now: datetime, is_simulated: bool = False) -> Finding:
    """Whether our clock and the vendor's agree.

    Args:
        date: The vendor's `Date` header.
        now: Our clock when it came.
        is_simulated: Whether the vendor is a simulated one, whose day runs at a pace of its own.
    """
    try:
        vendor_now = parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return good("clock", "Trackstar tells no time")
    apart = abs(now - vendor_now)
    if is_simulated and apart > CLOCKS_AGREE_WITHIN:
        return good("clock", f"the simulated shop's is {duration(apart)} from this machine's, as it may be")
    if apart > CLOCKS_AGREE_WITHIN:
        found = f"this machine's and Trackstar's are {duration(apart)} apart"
        return bad("clock", found, "synchronise this machine's clock (NTP), else ask Trackstar's support")
    return good("clock", "agrees with Trackstar's within a minute")


def _examine_shops(stack: Stack, api_key: SecretStr | None) -> Iterator[Finding]:
    shops = named_shops(stack)
    if not shops:
        yield bad("shops", "none is connected", "connect one by its id", stack.commands.own("connect CONNECTION_ID"))
    tokens = access_tokens(stack)
    with Api(stack.parameters.trackstar_base_url) as api:
        for shop in shops:
            if not shop.has_token:
                found = "there is a name but no access token"
                again = stack.commands.own(f"connect {shop.connection_id}")
                yield bad(f"{shop.connection_id} token", found, "put one", again)
                continue
            if api_key:
                yield from _examine_access(stack, api, shop, api_key=api_key, tokens=tokens)
            yield _examine_polls(stack, shop)


def _examine_access(
    stack: Stack, api: Api, shop: NamedShop, *, api_key: SecretStr, tokens: Mapping[str, SecretStr]
) -> Iterator[Finding]:
    connection_id = shop.connection_id
    uses = Counter(token.get_secret_value() for token in tokens.values())
    if uses[tokens[connection_id].get_secret_value()] > 1:
        found = "another shop has the same one"
        yield bad(f"{connection_id} token", found, "put its own", stack.commands.own(f"connect {connection_id}"))
        return
    try:
        checked = check_shop(api, connection_id, api_key=api_key, access_token=tokens[connection_id])
    except UnusableShopError as error:
        yield bad(f"{connection_id} token", str(error), *_remedy(stack, error.flaw, connection_id))
        return
    yield good(f"{connection_id} token", "accepted")
    yield health_finding(connection_id, checked)


def _remedy(stack: Stack, flaw: Flaw, connection_id: str) -> tuple[str, ...]:
    if flaw is Flaw.ACCESS_TOKEN:
        return "put a valid one", stack.commands.own(f"connect {connection_id}")
    if flaw is Flaw.CONNECTION:
        disconnect = stack.commands.own(f"disconnect {connection_id}")
        return "connect the shop in Trackstar again, or stop watching it", disconnect
    return ("look at the connection in Trackstar's dashboard",)


def health_finding(connection_id: str, checked: CheckedShop) -> Finding:
    """Whether Trackstar sees the shop, and how fresh its copy is."""
    subject = f"{connection_id} connection"
    health = assess(checked.connection, now=checked.vendor_now)
    if health.state is not HealthState.HEALTHY:
        first_sentence = health.detail.partition(". ")[0].rstrip(".")
        return bad(subject, f"{health.state}: {first_sentence}", _HEALTH_REMEDIES[health.state])
    synced_at = checked.connection.orders_schedule.synced_at
    fresh = f"synced {duration(checked.vendor_now - synced_at)} ago" if synced_at else "it tells no sync"
    return good(subject, f"healthy, {fresh}")


def _examine_polls(stack: Stack, shop: NamedShop) -> Finding:
    table = ConnectionTable(stack.aws.dynamodb, stack.outputs.connection_table_name)
    interval = poll_interval(stack.parameters.poll_schedule)
    state = table.load(shop.connection_id)
    gap = timedelta(minutes=stack.parameters.max_poll_gap_minutes)
    return polls_finding(state, interval=interval, gap=gap, now=clock.now(), commands=stack.commands)


def poll_interval(schedule: str) -> timedelta | None:
    """How often a `rate(...)` ticks; None for a cron expression."""
    found = _RATE.fullmatch(schedule)
    return timedelta(**{f"{found[2]}s": int(found[1])}) if found else None


def polls_finding(
    state: ConnectionState, *, interval: timedelta | None, gap: timedelta, now: datetime, commands: Commands
) -> Finding:
    """Whether a shop is polled as often as it should be: late is more than three intervals, or two gaps, ago.

    Args:
        state: The shop's row.
        interval: The schedule's.
        gap: How long a quiet shop is not polled.
        now: Our clock.
        commands: How commands are written.
    """
    subject = f"{state.connection_id} polls"
    remedy = f"its log says why ({commands.own('logs poll-orders')}); this polls it now"
    command = commands.own(f"poll {state.connection_id}")
    if state.last_success_at is None:
        if state.progress:
            return good(subject, "the first reading of its history is under way")
        return bad(subject, "never polled", remedy, command)
    age = now - state.last_success_at
    late = max(3 * interval, 2 * gap) if interval else POLL_AGE_WITHOUT_RATE
    found = f"the last that succeeded was {duration(age)} ago"
    return bad(subject, found, remedy, command) if age > late else good(subject, found)
