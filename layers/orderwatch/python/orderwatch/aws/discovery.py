"""Finds the connections that were added to the Parameter Store, and watches them.

ConnectionTable is the registry of the watched connections, because AWS throttles `ssm:DescribeParameters` at about one
request a second for the whole account. So no poll depends on a listing: it runs after the polls of a tick were
requested, every 15 minutes, and continues in later ticks if it has to. It only adds connections: `orderwatch
disconnect`, or a poll that finds no access token, removes one.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from orderwatch import clock
from orderwatch.aws.connection_table import ConnectionTable, Listing, Registry
from orderwatch.aws.dynamodb import is_throttled
from orderwatch.aws.parameters import Parameters
from orderwatch.observability import logger

LIST_EVERY = timedelta(minutes=15)
"""How often the Parameter Store is listed, and the maximum time after a failure."""
RETRY_AFTER = timedelta(minutes=1)
"""Pause if no connection is watched yet, or the listing has to continue. Each failure doubles it."""


class Discovery:
    """Keeps the registry in step with the Parameter Store."""

    def __init__(self, connections: ConnectionTable, parameters: Parameters) -> None:
        self._connections = connections
        self._parameters = parameters

    def find_new(self, registry: Registry, *, has_time: Callable[[], bool]) -> list[str]:
        """List the Parameter Store if it is time to, and watch the connections that are new.

        Args:
            registry: What was read before. Only one of several ticks that read the same lists the Parameter Store.
            has_time: Called before each page; False leaves the rest to the next tick.

        Returns:
            The new connections.
        """
        listing, now = registry.listing, clock.now()
        if not _is_due(listing, now):
            return []
        # Saved first as a failure, so that a tick that is killed while it lists is followed by a pause too.
        attempt = replace(listing, due_at=now + _backoff(listing.failures), failures=listing.failures + 1)
        if not self._connections.save_listing(attempt, after=listing):
            return []
        found: list[str] = []
        result = self._list(attempt, set(registry.watched), found, has_time)
        if result.failures == 0:
            pause = RETRY_AFTER if result.page_token or not (registry.watched or found) else LIST_EVERY
            result = replace(result, due_at=now + pause)
        self._connections.save_listing(result, after=attempt)
        return found

    def find(self, connection_ids: Collection[str], registry: Registry) -> None:
        """Watch those of these connections that have an access token, if they are not watched yet."""
        unknown = set(connection_ids) - set(registry.watched)
        try:
            self._watch(self._parameters.connected(sorted(unknown)))
        except (ClientError, BotoCoreError) as error:
            logger.warning("new connections cannot be checked; a listing finds them", exc_info=error)

    def _list(
        self, attempt: Listing, watched: Collection[str], found: list[str], has_time: Callable[[], bool]
    ) -> Listing:
        """List as far as time and AWS allow. A page that was read ends the failures."""
        listing = attempt
        try:
            while has_time():
                connection_ids, page_token = self._parameters.connection_page(listing.page_token)
                new = [each for each in connection_ids if each not in watched]
                self._watch(new)
                found += new
                listing = replace(listing, failures=0, page_token=page_token)
                if page_token is None:
                    break
        except (ClientError, BotoCoreError) as error:
            logger.warning("Parameter Store cannot be listed; polling the known shops", exc_info=error)
            if isinstance(error, ClientError) and not is_throttled(error):
                return replace(attempt, page_token=None)  # the token may be the reason
        return listing

    def _watch(self, connection_ids: Collection[str]) -> None:
        for connection_id in connection_ids:
            self._connections.watch(connection_id)
            logger.info("watching a new connection", extra={"connection_id": connection_id})


def _is_due(listing: Listing, now: datetime) -> bool:
    """A time that is further ahead than any pause shows that our clock was set back."""
    return listing.due_at is None or not timedelta(0) < listing.due_at - now <= LIST_EVERY


def _backoff(failures: int) -> timedelta:
    return min(RETRY_AFTER * (1 << min(failures, 10)), LIST_EVERY)
