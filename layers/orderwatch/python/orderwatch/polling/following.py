"""Which window is opened, and which follows when one was read to its end: pure functions over the saved state.

    baseline, incremental ── deadlines (where those of the open orders are not recorded) ── sweep (daily) ── final sweep

The cursor passes a window only when every page of it was read (rule 4).
"""

from datetime import datetime
from typing import NamedTuple, Self

from orderwatch import clock
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES
from orderwatch.polling.check import ConnectionSource
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import Policy
from orderwatch.polling.windows import (
    SWEEP_INTERVAL,
    Progress,
    Window,
    WindowKind,
    deadlines_window,
    final_sweep_window,
    sweep_window,
)
from orderwatch.trackstar.query import DateField


class Now(NamedTuple):
    """The two clocks at one moment."""

    vendor: datetime
    ours: datetime

    @classmethod
    def of(cls, vendor: ConnectionSource) -> Self:
        """The vendor's clock at its latest answer, and ours."""
        return cls(vendor.now(), clock.now())


def open_window(state: ConnectionState, window: Window, now: Now, policy: Policy) -> ConnectionState:
    """Begin to read a window."""
    progress = Progress(
        window=window, began_at=now.ours, synced_at=state.data_as_of, deadline_rules=policy.deadline_rules
    )
    return state.model_copy(update={"progress": progress})


def complete(state: ConnectionState, progress: Progress, *, now: Now, policy: Policy) -> ConnectionState:
    """Every page of the window was read: the cursor passes it with this page's write (rule 4)."""
    window = progress.window
    state = state.model_copy(update={"progress": None, "last_success_at": now.ours})
    if window.kind is WindowKind.SWEEP:
        return _complete_sweep(state, window, now=now, policy=policy)
    if window.kind is WindowKind.DEADLINES:
        return _follow_up(_with_deadlines(state, progress), now=now, policy=policy)
    cursor = max(state.cursor or window.until, window.until)
    done: dict[str, object] = {
        "cursor": cursor,
        "read_until": window.until,
        "cursor_set_at": progress.began_at,
        "read_sync": progress.synced_at,
    }
    if state.date_field is DateField.SHOP_UPDATED:
        done |= {"fell_back_at": state.fell_back_at or window.until}
    elif window.date_field is DateField.TRACKSTAR_UPDATED:
        done |= {"fell_back_at": None}
    if window.kind is WindowKind.BASELINE:
        done |= {"watch_started_at": window.until, "baseline_completed_at": now.vendor, "last_sweep_at": window.until}
        return _with_deadlines(state.model_copy(update=done), progress)
    return _follow_up(state.model_copy(update=done), now=now, policy=policy)


def _with_deadlines(state: ConnectionState, progress: Progress) -> ConnectionState:
    """The deadline of every open order is recorded."""
    since = {"deadline_rules": progress.deadline_rules, "deadlines_since": progress.window.until}
    return state.model_copy(update=since)


def _follow_up(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    """What is to be read behind what changed: open orders whose deadlines are not recorded, and the daily sweep."""
    if policy.deadlines is None:
        state = state.model_copy(update={"deadline_rules": None})
    elif state.deadline_rules != policy.deadline_rules:
        return open_window(state, deadlines_window(vendor_now=now.vendor, statuses=OPEN_STATUSES), now, policy)
    if state.last_sweep_at is None or now.vendor - state.last_sweep_at >= SWEEP_INTERVAL:
        return _sweep(state, now=now, policy=policy)
    return state


def _sweep(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    waiting = set(policy.statuses) - FINAL_STATUSES
    if not waiting:
        return _sweep_final(state, now=now, policy=policy)
    return open_window(state, sweep_window(vendor_now=now.vendor, statuses=waiting), now, policy)


def _sweep_final(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    statuses = FINAL_STATUSES & set(policy.statuses)
    window = final_sweep_window(vendor_now=now.vendor, last_sweep_at=state.last_sweep_at, statuses=statuses)
    return open_window(state, window, now, policy)


def _complete_sweep(state: ConnectionState, window: Window, *, now: Now, policy: Policy) -> ConnectionState:
    if window.after is None and FINAL_STATUSES & set(policy.statuses):
        return _sweep_final(state, now=now, policy=policy)
    done: dict[str, object] = {"last_sweep_at": window.until}
    if state.is_filter_refused:  # a refusal may have passed: try again, once between two sweeps
        done |= {"date_field": DateField.TRACKSTAR_UPDATED, "is_filter_refused": False}
    return state.model_copy(update=done)
