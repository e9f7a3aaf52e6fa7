"""CloudWatch's metric math and its evaluation of an alarm, for the alarms of the template.

By the CloudWatch User Guide: a missing value counts as 0 in an operation with a value, `FILL` replaces missing values,
and `DIFF` is the difference to the preceding value. An alarm is on while enough of its latest periods are breaching.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

type Value = float | None
"""The value of one period; None if it is missing."""


@dataclass(frozen=True, eq=False)
class Series:
    """The values of a metric, one for each period."""

    values: tuple[Value, ...]

    def __add__(self, other: "Series | float") -> "Series":
        return self._with(other, lambda a, b: a + b)

    def __mul__(self, other: "Series | float") -> "Series":
        return self._with(other, lambda a, b: a * b)

    def __gt__(self, other: "Series | float") -> "Series":
        return self._with(other, lambda a, b: float(a > b))

    def __or__(self, other: "Series") -> "Series":
        return self._with(other, lambda a, b: float(bool(a or b)))

    def _with(self, other: "Series | float", operation: Callable[[float, float], float]) -> "Series":
        others = other.values if isinstance(other, Series) else (other,) * len(self.values)
        pairs = zip_longest(self.values, others)
        return Series(tuple(None if a is b is None else operation(a or 0, b or 0) for a, b in pairs))


def _fill(series: Series, value: float) -> Series:
    return Series(tuple(value if each is None else each for each in series.values))


def _diff(series: Series) -> Series:
    found: list[Value] = []
    last: Value = None
    for value in series.values:
        found.append(None if value is None or last is None else value - last)
        last = value if value is not None else last
    return Series(tuple(found))


def _if(condition: Series, true: float, false: float) -> Series:
    return Series(tuple(None if each is None else true if each else false for each in condition.values))


def resolved_expression(alarm: Mapping[str, Any]) -> str:
    """The expression of an alarm, with Slack."""
    [shown] = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    if isinstance(shown, str):
        return shown
    text, variables = shown["Fn::Sub"]
    return re.sub(r"\$\{(\w+)\}", lambda found: str(variables[found[1]]["Fn::If"][1]), text)


def periods_in_alarm(alarm: Mapping[str, Any], metrics: Mapping[str, Sequence[Value]]) -> list[int]:
    """The periods after which an alarm on an expression is on.

    Args:
        alarm: Its properties in the template; its threshold is an upper one.
        metrics: The values of its metrics by their ids; those that are left out have none.
    """
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    length = max(map(len, metrics.values()))
    ids = [each.get("Fn::If", [None, each])[1]["Id"] for each in alarm["Metrics"]]
    names: dict[str, Any] = {each: Series((None,) * length) for each in ids}
    names |= {name: Series(tuple(values)) for name, values in metrics.items()}
    functions = {"FILL": _fill, "DIFF": _diff, "IF": _if}
    expression = resolved_expression(alarm).replace(" OR ", " | ")
    series: Series = eval(expression, {"__builtins__": {}}, names | functions)  # noqa: S307 - our own template
    wanted, needed = alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    is_breaching = [value is not None and value > alarm["Threshold"] for value in series.values]
    return [at for at in range(length) if sum(is_breaching[max(0, at + 1 - wanted) : at + 1]) >= needed]
