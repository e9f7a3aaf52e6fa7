"""What is said when the polls of a connection keep failing."""

from datetime import timedelta

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.commit import Store
from orderwatch.polling.health import health_after, unread_since
from orderwatch.polling.poll import save_health


def note_unread(connection: AlertConnection, *, store: Store, silence: timedelta) -> None:
    """Notify the operators, once, of a connection of which no reading has come to its end for so long.

    Call it when a poll failed, or when its message comes again because it died. The next reading that comes to its end
    makes it good.

    Raises:
        PollSupersededError: Another poll of the connection is at work.
    """
    state, now = store.load(connection.id), clock.now()
    began_at = state.progress.began_at if state.progress else None
    since = state.last_success_at or began_at
    if since and now - since >= silence:
        save_health(store, state, health_after(state.health, unread_since(since, now=now)), connection)
