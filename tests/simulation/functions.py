"""The real handlers, several copies of each: two invocations at once are two processes with separate memory."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

import httpx

from orderwatch.trackstar.client import Trackstar
from tests.simulation.cloud import ALERTS, CONNECTIONS, ORDERS, PACE, PREFIX
from tests.support.template import ROOT

ENVIRONMENT = {
    "PARAMETER_PREFIX": PREFIX,
    "TRACKSTAR_BASE_URL": "https://trackstar.invalid",
    "MAX_POLL_GAP_MINUTES": "15",
    "SYNC_MINUTES": "0",
    "ALERT_STATUSES": "exception,backordered,cancelled",
    "ORDER_TABLE_NAME": ORDERS,
    "CONNECTION_TABLE_NAME": CONNECTIONS,
    "ALERT_TABLE_NAME": ALERTS,
    "POLL_QUEUE_URL": "polls",
    "TIME_ZONE": "Europe/Berlin",
    "STACK_NAME": "orderwatch",
    "PACE_TABLE_NAME": PACE,
    "ALERT_TOPIC_ARN": "alerts-topic",
    "OPS_TOPIC_ARN": "ops-topic",
    "ALERT_EMAIL_EXPECTED": "true",
    "OPS_EMAIL_EXPECTED": "true",
    "SLACK_QUEUE_URL": "",
    "POWERTOOLS_METRICS_DISABLED": "true",
}


@cache
def handler_module(function: str, copy: int) -> ModuleType:
    """A copy of a function's module: it shares no state with other copies."""
    path = ROOT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{function}_{copy}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget(module: ModuleType) -> None:
    """The process was killed: the next invocation starts cold."""
    for value in vars(module).values():
        if hasattr(value, "cache_clear") and getattr(value, "__module__", "") == module.__name__:
            value.cache_clear()


@contextmanager
def reached_through(module: ModuleType, transport: httpx.BaseTransport) -> Iterator[None]:
    """Let a module's own `Trackstar` use this transport."""
    if not hasattr(module, "Trackstar"):
        yield
        return
    replaced: Any = partial(Trackstar, transport=transport)
    with patch.object(module, "Trackstar", replaced):
        yield
