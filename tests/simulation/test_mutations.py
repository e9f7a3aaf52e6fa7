"""The simulation finds each mutation: a rule of the product that is broken on purpose."""

import pytest

from tests.simulation import (  # noqa: F401 - they register their mutations
    deadline_mutations,
    people_mutations,
    stock_mutations,
    summary_mutations,
)
from tests.simulation.facts import Violation
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import run

WITHIN = 300
"""Seeds that a mutation may take to be found."""
FOUND_BY = {
    "cursor_before_the_writes": (23, "a window ended"),
    "state_before_the_alert": (23, "alerted None, expected order.backordered"),
    "no_redrive": (0, "still pending"),
    "sync_times_trusted_forever": (38, "an unreported change is not read"),
    "random_alert_ids": (1, "the same transition has two alert ids"),
    "statuses_not_counted": (73, "alerted None, expected order.exception"),
    "ids_not_scoped_by_connection": (23, "which was never served"),
    "no_conditions": (0, "the cursor of conn_a goes back"),
    "older_versions_overwrite": (35, "goes back from"),
    "equal_versions_are_stale": (0, "was not alerted"),
    "future_versions_trusted": (153, "a window ended"),
    "last_copy_on_a_page_wins": (35, "a window ended"),
    "first_copy_on_a_page_wins": (35, "a window ended"),
    "older_copies_never_believed": (7, "showed an older copy as ('exception', "),
    "older_copies_believed_at_once": (1, "goes back from"),
    "older_ship_bys_never_believed": (157, "showed an older copy as ('backordered', "),
    "sent_marked_before_the_send": (0, "never delivered"),
    "lease_never_checked": (1, "2 copies"),
    "leases_without_an_owner": (40, "kept leases"),
    "leases_never_released": (0, "kept leases"),
    "alert_ids_hashed_over_shards": (2, "a storm of conn_a became"),
    "rate_limit_per_sender": (15, "got 7 messages within a second"),
    "gt_for_gte": (24, "a window ended"),
    "lt_for_lte": (23, "a window ended"),
    "no_overlap": (38, "a window ended"),
    "watermark_on_the_shops_date": (23, "is read by the shop's date"),
    "undated_orders_never_read": (3, "a window ended"),
    "cursor_trusted_after_a_jump": (9, "a window ended"),
    "cursor_by_our_clock": (3, "after the calm"),
    "one_missing_date_changes_the_filter": (130, "is read by the shop's date"),
    "first_page_only": (1, "passes a window that was not read to its end"),
    "filters_on_the_first_page_only": (1, "the next page is asked for with"),
    "short_windows_not_read_again": (1, "not read again"),
    "orders_counted_twice": (20, "not read again"),
    "page_token_loops_followed": (96, "pages without a new order were followed"),
    "restarts_not_counted": (1, "a poll begins a window more than 3 times"),
    "refused_tokens_kept": (1, "was not polled within two intervals of the calm"),
    "exhausted_windows_left_to_the_next_poll": (93, "is left to another poll with"),
    "polls_without_progress_succeed": (29, "a poll that got no further is reported as successful"),
    "pages_never_shrink": (9, "an unreported change is not read"),
    "oversized_orders_not_passed": (9, "an unreported change is not read"),
    "statuses_compared_as_spelled": (0, "which was never served"),
    "errors_in_a_200_ignored": (29, "passes a window that was not read to its end"),
    "missing_lists_are_empty": (26, "passes a window that was not read to its end"),
    "pages_of_a_proxy_believed": (17, "though Trackstar refused nothing"),
    "alerts_by_the_baseline": (28, "alerted order.cancelled, expected None"),
    "recovery_without_an_alert": (0, "alerted order.recovered, expected None"),
    "orders_without_a_date_are_older_than_the_watch": (40, "alerted None, expected order.exception"),
    "no_holidays": (3, "not one of"),
    "days_end_at_midnight_utc": (38, "not one of"),
    "every_day_has_24_hours": (214, "not one of"),
    "the_day_of_a_change_counts": (38, "not one of"),
    "watermark_by_the_clock": (1, "with data up to"),
    "past_deadlines_alerted": (38, "past when the watch began"),
    "due_orders_never_read": (23, "was not alerted"),
    "alerted_without_reading_again": (0, "not read again"),
    "final_orders_keep_their_deadline": (0, "fulfilled, has the deadline"),
    "unchanged_versions_never_overdue": (0, "and was not alerted"),
    "no_alert_when_a_deadline_is_resolved": (3, "alerted None, expected order.recovered"),
    "zero_dates_believed": (1, "stored with the ship-by 1970-08-31 22:53:51+00:00"),
    "far_dates_believed": (0, "stored with the ship-by 2099-12-31 00:00:00+00:00"),
    "odd_ship_bys_dropped": (0, "stored with the ship-by None"),
    "unreadable_values_not_reported": (0, "cannot be read, which is not reported"),
    "midnight_with_an_offset_is_a_moment": (1, "which was never served"),
    "blocked_shops_counted_as_visible": (4, "conn_c as not visible"),
    "ages_run_ahead_of_the_data": (46, "ages of conn_a"),
    "late_orders_not_in_the_backlog": (0, "the backlog of conn_a"),
    "orders_at_risk_in_the_backlog": (0, "the backlog of conn_b"),
    "money_is_summed_across_currencies": (23, "value in conn_a"),
    "snoozed_orders_counted_as_taken": (2, "who has the orders of"),
    "half_of_the_backlog_not_stored": (2, "the changes: reported"),
    "repeated_requests_write_again": (23, "was written twice"),
    "voided_shipments_counted": (2, "the shipments of"),
    "products_by_id_alone": (7, "the orders with"),
    "shipped_lines_counted_as_short": (1, "outstanding, none of"),
    "one_unit_for_two_orders": (1, "is stored as restocked, and Look("),
    "restocked_alerted_twice": (5, "twice in one backorder"),
    "restocked_by_stale_products": (57, "by products that are older than it"),
    "stock_never_looked_at": (1, "and nobody looked"),
    "owners_stay_after_the_end": (4, "is stored with Owner("),
    "owners_lost_by_polls": (4, "is stored with Owner(name=None, until=None), after"),
    "acts_of_two_people_overwrite_each_other": (2, "reported Owner("),
    "reminded_after_the_end": (2, "needs no attention and is reminded about"),
    "one_reminder_too_many": (2, "expected None, reminded 1"),
    "reminded_by_the_hours_of_a_clock": (2, "is to be reminded about at"),
    "taken_orders_reminded_about_as_others": (2, "is to be reminded about at"),
    "snoozes_forgotten": (2, "is stored with Owner(name=None, until=None), after Owner(name=None, until=datetime"),
    "reminders_lost": (2, "is to be reminded about at None"),
    "opening_a_link_acts": (2, "was changed by Act(kind='look'"),
    "links_work_for_ever": (2, "works after 14 days"),
    "pages_act_on_what_they_never_showed": (4, "was changed by Act("),
    "held_alerts_lost": (10, "still pending"),
    "held_alerts_sent_at_once": (10, "is sent in quiet hours"),
    "quiet_hours_without_the_day_before": (21, "until when order.cancelled of"),
    "critical_alerts_wait": (10, "until when order.exception of"),
}
"""The seed that finds each mutation, and a part of its report. `pytest -m slow -k NAME` searches for another seed."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_simulation_finds_the_mutation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed, report = FOUND_BY[name]
    MUTATIONS[name](monkeypatch)
    with pytest.raises(Violation) as found:
        run(seed)
    assert report in str(found.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_an_early_seed_finds_the_mutation(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MUTATIONS[name](monkeypatch)
    for seed in range(WITHIN):
        try:
            run(seed)
        except Violation as violation:
            with capsys.disabled():
                print(f'\n    "{name}": ({seed}, "{violation}"),')  # noqa: T201 - a line for FOUND_BY
            return
    pytest.fail(f"{WITHIN} seeds did not find {name}")
