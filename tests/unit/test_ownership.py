"""Who works on an order, and when it is reminded about (rule 24): the rules, without a poll."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK
from orderwatch.alerts.parts import MAX_NOTE, AlertConnection, AlertOrder
from orderwatch.deadlines.alerts import Problem, reminder_alert
from orderwatch.deadlines.rules import (
    NO_DEADLINE,
    Deadline,
    DeadlineChange,
    DeadlineRules,
    DeadlineState,
    Reminder,
    Suppression,
    evaluate,
    remind,
)
from orderwatch.ownership import MAX_OWNER, Ownership, OwnershipError, snoozed, taken
from tests.support.clocks import NOON

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFF = DeadlineRules(ZoneInfo("UTC"))
RULES = replace(OFF, reminder_hours=24, max_reminders=2)
ANA = Ownership("Ana", NOON, note="asked the supplier")
LATE = Deadline(NOON + HOUR, KIND_LATE)
UNCHANGED = DeadlineChange()


# Taking and snoozing


def test_an_order_is_taken_whoever_had_it_and_awake() -> None:
    before = snoozed(ANA, until=NOON + DAY, at=NOON)
    assert before == replace(ANA, snoozed_until=NOON + DAY)
    assert taken(before, " Ben\n", at=NOON + HOUR) == Ownership("Ben", NOON + HOUR, note=ANA.note)
    assert taken(ANA, "Ben", at=NOON, note="mine") == Ownership("Ben", NOON, note="mine")
    assert taken(ANA, "Ben", at=NOON, note="") == Ownership("Ben", NOON)


def test_a_snooze_ends_and_leaves_owner_and_note() -> None:
    unowned = snoozed(None, until=NOON + DAY, at=NOON)
    assert (unowned.is_snoozed(NOON + DAY - HOUR), unowned.is_snoozed(NOON + DAY)) == (True, False)
    assert (unowned.awake(NOON), unowned.awake(NOON + DAY)) == (unowned, None)
    assert replace(ANA, snoozed_until=NOON).awake(NOON) == ANA.awake(NOON) == ANA
    noted = Ownership(note="wait", snoozed_until=NOON)
    assert noted.awake(NOON) == Ownership(note="wait")


@pytest.mark.parametrize(
    ("owner", "note", "text"),
    [
        (" \x1b\n ", None, "a name is missing"),
        ("x" * (MAX_OWNER + 1), None, "the name has 81 characters, and 80 are allowed"),
        ("ana@example.com", None, "use a name, not an e-mail address or a phone number"),
        ("Ana", "x" * (MAX_NOTE + 1), "the note has 201 characters, and 200 are allowed"),
    ],
)
def test_an_invalid_name_or_note_is_refused(owner: str, note: str | None, text: str) -> None:
    with pytest.raises(OwnershipError, match=text):
        taken(None, owner, at=NOON, note=note)


def test_a_note_has_no_contact_data_and_no_control_characters() -> None:
    note = "call\x1b[2J +49 170 1234567 or kim@example.com"
    assert taken(None, "Ana", at=NOON, note=note).note == "call [2J [phone] or [e-mail]"


def test_a_snooze_ends_in_the_future() -> None:
    with pytest.raises(OwnershipError, match="future"):
        snoozed(None, until=NOON, at=NOON)


# Reminders


def state(at: timedelta | None, count: int = 0) -> DeadlineState:
    return DeadlineState(reminder_at=None if at is None else NOON + at, reminders=count)


@pytest.mark.parametrize(
    ("rules", "before", "ownership", "watermark", "after", "sent", "why"),
    [
        (OFF, None, None, DAY, (None, 0), None, "off"),
        (OFF, state(HOUR, 1), None, DAY, (None, 1), None, "turned off"),
        (RULES, None, None, None, (DAY, 0), None, "a day after its alert"),
        (RULES, state(HOUR), None, None, (HOUR, 0), None, "no watermark: it stays due"),
        (RULES, state(HOUR), None, HOUR / 2, (HOUR, 0), None, "not yet"),
        (RULES, state(HOUR), None, HOUR, (DAY + HOUR, 1), 1, "the first, and the next a day later"),
        (RULES, state(HOUR, 1), None, HOUR, (None, 2), 2, "the last"),
        (RULES, state(None, 2), None, DAY, (None, 2), None, "then no more"),
        (RULES, state(HOUR, 2), None, DAY, (None, 2), None, "the maximum was reduced"),
        (replace(RULES, max_reminders=3), state(None, 2), None, None, (DAY, 2), None, "the maximum was raised"),
        (RULES, state(3 * DAY), ANA, 2 * DAY, (3 * DAY, 0), None, "taken"),
        (RULES, state(3 * DAY), ANA, 3 * DAY, (6 * DAY, 1), 1, "its owner is reminded every three days"),
        (RULES, None, replace(ANA, snoozed_until=NOON + HOUR), None, (HOUR, 0), None, "snoozed"),
        (OFF, state(HOUR), Ownership(snoozed_until=NOON + HOUR), HOUR, (None, 1), 1, "asked for, even where it is off"),
        (
            RULES,
            state(HOUR),
            Ownership(snoozed_until=NOON + HOUR),
            HOUR,
            (DAY + HOUR, 1),
            1,
            "the end of a snooze counts",
        ),
        (RULES, state(HOUR), replace(ANA, snoozed_until=NOON + HOUR), HOUR, (3 * DAY + HOUR, 1), 1, "its owner again"),
    ],
)
def test_when_an_order_is_reminded_about(
    rules: DeadlineRules,
    before: DeadlineState | None,
    ownership: Ownership | None,
    watermark: timedelta | None,
    after: tuple[timedelta | None, int],
    *,
    sent: int | None,
    why: str,
) -> None:
    change = remind(
        UNCHANGED,
        before or NO_DEADLINE,
        rules,
        ownership=ownership,
        now=NOON,
        watermark=None if watermark is None else NOON + watermark,
    )
    assert change.state == state(*after), why
    at = before.reminder_at if before else None  # the clock is behind: the next one is counted from the watermark
    assert change.reminder == (Reminder(at, sent) if at and sent else None), why


def test_the_first_reminder_skips_the_weekend() -> None:
    friday = NOON + 4 * DAY
    assert friday.weekday() == 4
    assert remind(UNCHANGED, NO_DEADLINE, RULES, ownership=None, now=friday).state.reminder_at == friday + 3 * DAY


@pytest.mark.parametrize(
    ("ownership", "at"),
    [
        (None, NOON + 2 * DAY),
        (ANA, NOON + 4 * DAY),
        (replace(ANA, snoozed_until=NOON + 2 * DAY), NOON + 2 * DAY),
        (Ownership(snoozed_until=NOON + HOUR), NOON + 2 * DAY),
    ],
    ids=["nobody's", "taken", "snoozed for longer", "the snooze has ended"],
)
def test_an_alert_about_a_deadline_takes_the_place_of_a_reminder(ownership: Ownership | None, at: datetime) -> None:
    expired = DeadlineChange(DeadlineState(passed=LATE), expired=LATE)
    change = remind(
        expired, DeadlineState(due=LATE, reminder_at=NOON + HOUR), RULES,
        ownership=ownership, now=NOON + DAY, watermark=NOON + DAY,
    )  # fmt: skip
    assert change == expired._replace(state=DeadlineState(passed=LATE, reminder_at=at)), "one message, not two"


MOMENTS = st.integers(0, 400).map(lambda hours: NOON + hours * HOUR)
DEADLINES = st.builds(Deadline, MOMENTS, st.sampled_from([KIND_AT_RISK, KIND_LATE, KIND_STUCK]))
STATES = st.builds(
    DeadlineState,
    due=st.none() | DEADLINES,
    passed=st.none() | DEADLINES,
    deadline_alert_id=st.none() | st.just("a1"),
    reminder_at=st.none() | MOMENTS,
    reminders=st.integers(0, 3),
)


@given(
    before=STATES,
    rules=st.builds(replace, st.just(RULES), reminder_hours=st.sampled_from([0, 1, 24]), stuck_days=st.integers(0, 2)),
    status=st.sampled_from(["open", "backordered", "exception", "other"]),
    ship_by=st.none() | MOMENTS,
    since=MOMENTS,
    suppression=st.none() | st.builds(Suppression, MOMENTS, st.booleans()),
    watermark=st.none() | MOMENTS,
    ownership=st.none() | st.builds(Ownership, st.none() | st.just("Ana"), MOMENTS, st.none() | MOMENTS),
)
def test_reminders_change_nothing_else_about_deadlines(
    *,
    before: DeadlineState,
    rules: DeadlineRules,
    status: str,
    ship_by: object,
    since: object,
    suppression: Suppression | None,
    watermark: object,
    ownership: Ownership | None,
) -> None:
    options: dict[str, object] = {"status": status, "ship_by": ship_by, "since": since, "suppression": suppression}
    change = evaluate(before, rules, **options, watermark=watermark)  # type: ignore[arg-type]
    bare = evaluate(
        before._replace(reminder_at=None, reminders=0), replace(rules, reminder_hours=0), **options,  # type: ignore[arg-type]
        watermark=watermark,  # type: ignore[arg-type]
    )  # fmt: skip
    assert change == bare, "what becomes of deadlines depends on no reminder"
    after = remind(change, before, rules, ownership=ownership, now=since, watermark=watermark)  # type: ignore[arg-type]
    assert after.state._replace(reminder_at=None, reminders=0) == bare.state
    assert (after.expired, after.resolved) == (bare.expired, bare.resolved)
    is_snoozed = ownership is not None and ownership.snoozed_until is not None
    if not rules.reminder_hours and not is_snoozed:
        assert (after.reminder, after.state.reminder_at) == (None, None)
    assert after.reminder is None or after.expired is None, "one alert about one order"
    assert after.state.reminders <= max(before.reminders, rules.max_reminders) or is_snoozed


@pytest.mark.parametrize(
    ("problem", "ownership", "rules", "number", "text"),
    [
        (
            Problem(NOON - 3 * DAY),
            None,
            RULES,
            1,
            "Reminder 1 of 2: backordered for 1 business day, nobody has taken it.",
        ),
        (
            Problem(NOON - 7 * DAY),
            None,
            RULES,
            2,
            "Reminder 2 of 2: backordered for 5 business days, nobody has taken it.",
        ),
        (
            Problem(NOON - 5 * HOUR),
            None,
            RULES,
            1,
            "Reminder 1 of 2: backordered for 5 business hours, nobody has taken it.",
        ),
        (
            Problem(NOON - 7 * DAY, KIND_LATE),
            None,
            RULES,
            1,
            "Reminder 1 of 2: late for 5 business days, nobody has taken it.",
        ),
        (
            Problem(NOON),
            Ownership("Ana", NOON - 3 * DAY),
            RULES,
            1,
            "Reminder 1 of 2: taken by Ana 3 d ago, still backordered.",
        ),
        (
            Problem(NOON - HOUR / 2),
            Ownership(snoozed_until=NOON),
            OFF,
            1,
            "Reminder: the snooze has ended, still backordered for less than a business hour, nobody has taken it.",
        ),
        (
            Problem(NOON - DAY - 2 * HOUR),
            Ownership("Ana", NOON - 2 * HOUR, snoozed_until=NOON),
            RULES,
            1,
            "Reminder 1 of 2: the snooze has ended, still backordered for 12 business hours, taken by Ana 2 h ago.",
        ),
    ],
)
def test_a_reminder_says_how_long_and_who(
    problem: Problem, ownership: Ownership | None, rules: DeadlineRules, *, number: int, text: str
) -> None:
    alert = reminder_alert(
        Reminder(NOON, number),
        order=AlertOrder(id="1", number="#1", status="backordered", seen_at=NOON),
        problem=problem,
        ownership=ownership,
        rules=rules,
        connection=AlertConnection(id="conn_a"),
        data_as_of=NOON,
    )
    assert (alert.kind, alert.severity, alert.detail) == ("order.reminder", "warning", text)
    assert alert.order
    assert alert.order.due_at == NOON
