"""SNS's filter policies, as far as needed to say which subscriptions a message should reach.

https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from orderwatch.rendering.sns import SnsMessage

BODY = "MessageBody"


class UnknownOperatorError(Exception):
    """A policy uses an operator that is not known here: what it lets through is not known."""


def accepts(policy: Mapping[str, Any], message: SnsMessage, *, protocol: str, scope: str) -> bool:
    """Whether a subscription with this policy gets the message.

    Args:
        policy: The filter policy; an empty one takes everything.
        message: What is published.
        protocol: The subscription's: each has a body of its own.
        scope: `MessageAttributes` or `MessageBody`.

    Raises:
        UnknownOperatorError: The policy uses something that is not known here.
    """
    if scope != BODY:
        return _matches(policy, _attributes(message))
    try:
        body = json.loads(message.bodies.get(protocol, message.bodies["default"]), parse_float=Decimal)
    except ValueError:
        return not policy
    return isinstance(body, dict) and _matches(policy, body)


def _attributes(message: SnsMessage) -> dict[str, Any]:
    return {name: _attribute(*attribute) for name, attribute in message.attributes.items()}


def _attribute(kind: str, value: str) -> Any:
    if kind == "Number":
        return Decimal(value)
    return json.loads(value) if kind == "String.Array" else value


def _matches(policy: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(_key_matches(key, rules, found) for key, rules in policy.items())


def _key_matches(key: str, rules: Any, found: Mapping[str, Any]) -> bool:
    if key == "$or" and isinstance(rules, list):
        return any(_matches(each, found) for each in rules)
    if isinstance(rules, dict):
        return _nested(rules, found.get(key))
    if not isinstance(rules, list):
        raise UnknownOperatorError(key)
    values = _listed(found.get(key))
    return any(_rule_holds(rule, values) for rule in rules)


def _nested(policy: Mapping[str, Any], found: Any) -> bool:
    """A policy for what lies within; of a list, one entry must match it."""
    return any(isinstance(each, dict) and _matches(policy, each) for each in _listed(found))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _rule_holds(rule: Any, values: Sequence[Any]) -> bool:
    if isinstance(rule, dict) and set(rule) == {"exists"}:
        return bool(values) is bool(rule["exists"])
    return any(_value_matches(rule, value) for value in values)


def _value_matches(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return _is_number(rule) == _is_number(value) and rule == value
    if len(rule) != 1:
        raise UnknownOperatorError(", ".join(rule))
    [(operator, operand)] = rule.items()
    if operator == "anything-but":
        return _is_none_of(operand, value)
    if operator == "numeric":
        return _is_number(value) and _in_range(operand, value)
    if operator not in _TEXT_OPERATORS:
        raise UnknownOperatorError(operator)
    return isinstance(value, str) and _TEXT_OPERATORS[operator](value, operand)


def _is_none_of(operand: Any, value: Any) -> bool:
    return not any(_value_matches(each, value) for each in _listed(operand))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _in_range(conditions: Sequence[Any], value: Any) -> bool:
    pairs = zip(conditions[::2], conditions[1::2], strict=True)
    return all(_COMPARISONS[operator](value, Decimal(str(bound))) for operator, bound in pairs)


def _wildcard(value: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL) is not None


_TEXT_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": lambda value, operand: value.startswith(operand),
    "suffix": lambda value, operand: value.endswith(operand),
    "equals-ignore-case": lambda value, operand: value.lower() == operand.lower(),
    "wildcard": _wildcard,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, bound: bool(value == bound),
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
}
