"""The real handlers inside a simulated run, several copies of each: two invocations at once are two processes."""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache, partial
from io import StringIO
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from orderwatch import clock
from orderwatch.observability import logger
from orderwatch.reading.window import Progress
from orderwatch.trackstar import client
from orderwatch.trackstar.client import Trackstar
from tests.simulation import large_orders
from tests.simulation.cloud import ALERTS, CONNECTIONS, ORDERS, PACE, PREFIX
from tests.support.template import ROOT

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

TIMEOUTS = {
    "dispatch_polls": 60.0,
    "poll_orders": 120.0,
    "publish_alerts": 300.0,
    "redrive_alerts": 300.0,
    "send_summary": 300.0,
    "handle_action": 45.0,
}
"""Seconds after which Lambda kills an invocation."""
_first_page: Any = Progress.__init__
"""Has the size of a window's first page as a default."""
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


class _Nowhere(StringIO):
    """Discards what the handlers print."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def installed(run: "SimulatedRun", copies: dict[str, int]) -> Iterator[None]:
    """Let this many copies of each handler run in the simulation: with its environment, clients and clock."""
    modules = [handler_module(function, copy) for function, count in copies.items() for copy in range(count)]
    level = logger.log_level
    with ExitStack() as stack:
        stack.enter_context(patch.dict("os.environ", ENVIRONMENT | run.environment))
        stack.enter_context(patch("boto3.client", run.aws_calls.client))
        for name in ("trackstar.client", "reading.window"):
            stack.enter_context(patch(f"orderwatch.{name}.PAGE_SIZE", run.plan.page_size))
        stack.enter_context(patch.dict(_first_page.__kwdefaults__, page_size=run.plan.page_size))
        if run.large_orders.share:
            stack.enter_context(patch("orderwatch.trackstar.http.MAX_BODY", large_orders.BOUND))
            stack.enter_context(patch("orderwatch.trackstar.http.MAX_ERROR_BODY", large_orders.END))
            stack.enter_context(patch("orderwatch.reading.window.ROOMY", large_orders.ROOMY))
        for name in ("dynamodb", "poll_store"):
            stack.enter_context(patch(f"orderwatch.aws.{name}.MAX_ACTIONS", run.plan.actions))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(patch.object(AmazonCloudWatchEMFProvider, "add_metric", lambda *_, **__: None))
        stack.enter_context(redirect_stdout(_Nowhere()))
        trackstar = partial(Trackstar, transport=run.vendor_calls)
        for module in (client, *modules):  # redrive_alerts imports it from its own module, when it needs it
            if hasattr(module, "Trackstar"):
                stack.enter_context(patch.object(module, "Trackstar", trackstar))
        clock.use(run.our_clock)
        logger.setLevel("CRITICAL")
        try:
            yield
        finally:
            clock.use(None)
            logger.setLevel(level)
            for module in modules:
                forget(module)
