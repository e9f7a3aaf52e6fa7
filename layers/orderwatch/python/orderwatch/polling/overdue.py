"""Alert missed deadlines (rule 19) and send reminders (rule 24): read the orders again that are due, and evaluate them.

A deadline or a reminder is alerted only after the order was read by its id, and only up to the end of the shop's last
sync. So an order that Trackstar shows as shipped or cancelled is never alerted as late or reminded about, even if an
older page showed it as open.
"""

from itertools import batched

from orderwatch.polling.rereader import Rereader
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState
from orderwatch.trackstar.orders import MAX_IDS


def notify_overdue(rereader: Rereader, state: ConnectionState) -> tuple[ConnectionState, int]:
    """Alert the deadlines and reminders that are due at the watermark of the probe.

    Args:
        rereader: Reads the orders again.
        state: The stored state of the connection.

    Returns:
        The stored state, and the number of orders that remain.

    Raises:
        TrackstarError: The orders cannot be read now; they stay due.
        PollSupersededError: Another poll of the connection is running.
    """
    policy, watermark = rereader.policy, rereader.probe.watermark
    if policy.deadlines is None or state.cursor.deadlines.rules != policy.deadline_rules or watermark is None:
        return state, 0
    due = rereader.store.due_orders(state.connection_id, watermark)
    for done, order_ids in enumerate(batched(due, MAX_IDS, strict=False)):
        if not rereader.has_time():
            return state, len(due) - done * MAX_IDS
        state, _ = rereader.read_again(state, order_ids, WindowKind.DUE, watermark=watermark)
    return state, 0
