"""A shop's own settings that cannot be read: the operators are told once, and the stack's apply."""

from orderwatch.alerts import Alert
from orderwatch.polling.notices import settings_notice
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import Observation, Policy


def note(state: ConnectionState, observed: Observation, *, policy: Policy) -> tuple[ConnectionState, list[Alert]]:
    """Remember what is wrong with the settings, and the notice where that is news."""
    flaw = policy.flawed_settings
    if flaw == state.flawed_settings:
        return state, []
    state = state.model_copy(update={"flawed_settings": flaw})
    return state, [settings_notice(flaw, connection=observed.connection, now=observed.observed_at)] if flaw else []
