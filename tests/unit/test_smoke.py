"""What `make smoke` reads and when it polls, without a cloud."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from orderwatch_local.cloud.account import Account, _error_in
from orderwatch_local.smoke.day import PlayedDay
from orderwatch_local.smoke.filters import ATTRIBUTES, BODY, KIND, judge

BEGINS_AT = datetime(2026, 11, 26, 10, tzinfo=UTC)


class FakeAccount:
    """An account whose clock moves by sleeping; it records when the day was saved."""

    def __init__(self) -> None:
        self.time = BEGINS_AT
        self.saved_at: list[datetime] = []
        self.dynamodb = self

    def now(self) -> datetime:
        return self.time.replace(microsecond=0)

    def put_item(self, **_: Any) -> None:
        self.time += timedelta(milliseconds=300)
        self.saved_at.append(self.time)

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def test_a_round_is_polled_in_a_later_second_than_it_is_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = FakeAccount()
    monkeypatch.setattr("orderwatch_local.smoke.day.time.sleep", account.sleep)
    day = PlayedDay(cast("Account", account), "day")
    for _ in range(3):
        assert day.play_round() > account.saved_at[-1]
    assert len(set(day.moments[1:])) == 3, "two statuses of an order never share a version"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("START RequestId: 1 Version: $LATEST", ""),
        (json.dumps({"level": "INFO", "message": "alerts written"}), ""),
        (json.dumps({"level": "ERROR", "message": "SNS did not take a batch"}), "SNS did not take a batch"),
        (
            json.dumps(
                {"level": "ERROR", "message": "not read", "exception": "Traceback:\n  app.py\nAccessDenied: no"}
            ),
            "not read: AccessDenied: no",
        ),
        (json.dumps({"level": "ERROR", "errorType": "KeyError", "errorMessage": "'Item'"}), "'Item'"),
        (
            "2026-11-26T10:00:00Z 1 Task timed out after 30.00 seconds",
            "2026-11-26T10:00:00Z 1 Task timed out after 30.00 seconds",
        ),
        ("[1, 2]", ""),
    ],
)
def test_only_errors_of_a_function_log_are_shown(line: str, error: str) -> None:
    assert _error_in(line) == error


@pytest.mark.parametrize(
    ("scope", "expected", "received", "begins", "works"),
    [
        (ATTRIBUTES, 3, {KIND: 3}, "attribute filters work: 3 messages", True),
        (BODY, 1, {KIND: 1}, "body filters work: 1 message", True),
        (ATTRIBUTES, 3, {KIND: 2}, "attribute filters do not work: 2 of 3 messages", False),
        (BODY, 3, {}, "body filters do not work: 0 of 3 messages", False),
        (ATTRIBUTES, 3, {KIND: 3, "order.digest": 1}, "attribute filters are not proven: 1 other message", True),
        (BODY, 0, {}, "body filters are not proven: no alert", True),
    ],
)
def test_a_filter_works_if_it_passes_what_it_names_alone(
    scope: str, expected: int, received: dict[str, int], begins: str, *, works: bool
) -> None:
    verdict = judge(scope, expected=expected, received=received)
    assert (verdict.text.startswith(begins), verdict.works) == (True, works)


def test_attributes_that_do_not_filter_have_a_remedy() -> None:
    assert "FilterPolicyScope=MessageBody" in judge(ATTRIBUTES, expected=1, received={}).text
