"""Lets the handlers run inside a simulated run: environment, clients, transport, clock."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from orderwatch import clock
from orderwatch.observability import logger
from tests.simulation import deadline_plan
from tests.simulation.event_sources import SENDERS
from tests.simulation.functions import ENVIRONMENT, forget, handler_module, reached_through
from tests.simulation.invocations import MAX_AT_ONCE, TIMEOUTS
from tests.simulation.plan import Plan
from tests.simulation.vendor_calls import RunTransport

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun


def _keep_no_metric(*_: object, **__: object) -> None:
    """Discard metrics: the simulation does not check them."""


class _Nowhere(StringIO):
    """Discards what the handlers print."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def installed(run: "SimulatedRun") -> Iterator[None]:
    """Let the handlers run in this simulation."""
    copies = dict.fromkeys(sorted(TIMEOUTS), MAX_AT_ONCE) | {"publish_alerts": SENDERS}
    modules = [handler_module(function, copy) for function, count in copies.items() for copy in range(count)]
    level = logger.log_level
    with ExitStack() as stack:
        stack.enter_context(_environment(run.plan, run.promises))
        stack.enter_context(patch("boto3.client", run.aws_calls.client))
        stack.enter_context(patch("orderwatch.trackstar.client.PAGE_SIZE", run.plan.page_size))
        stack.enter_context(patch("orderwatch.aws.dynamodb.MAX_ACTIONS", run.plan.actions))
        stack.enter_context(patch("orderwatch.aws.stores.MAX_ACTIONS", run.plan.actions))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(patch.object(AmazonCloudWatchEMFProvider, "add_metric", _keep_no_metric))
        stack.enter_context(redirect_stdout(_Nowhere()))
        for module in modules:
            stack.enter_context(reached_through(module, RunTransport(run)))
        clock.use(run.our_clock)
        logger.setLevel("CRITICAL")
        try:
            yield
        finally:
            clock.use(None)
            logger.setLevel(level)
            for module in modules:
                forget(module)


def _environment(plan: Plan, promises: deadline_plan.DeadlinePlan) -> Any:
    drawn_for_this = {
        "NOTIFY_RECOVERED": str(plan.notify_recovered).lower(),
        "BASELINE_DAYS": str(plan.baseline_days),
        "STALLED_AFTER_MINUTES": "30",
        "DIGEST_THRESHOLD": str(plan.digest_threshold),
        **promises.environment,
    }
    return patch.dict("os.environ", ENVIRONMENT | drawn_for_this)
