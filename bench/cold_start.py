"""Cold starts under AWS's own runtime interface: each function beside a process of just its libraries.

Both are started the same way, by a handler that is made here: it takes the time of its own imports and of the first
clients, and answers with it. Starting the interpreter and AWS's runtime client is in neither.
"""

import compileall
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report import Say, Section, Target
from orderwatch_local.cloud.sam import build, this_architecture
from tests.e2e.runtime_interface import RuntimeInterface, link_runtime_packages
from tests.support.permissions import REGION, environment_of

STARTS = 9
BOUND = 1.3
ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "TRACKSTAR_BASE_URL": "https://trackstar.invalid",
    "TIME_ZONE": "Europe/Berlin",
    "SLACK_QUEUE_URL": "",
    "ACTION_URL": "",
}
"""What differs from the environment in the template."""


@dataclass(frozen=True)
class Function:
    """A function, and what its cold start consists of.

    Attributes:
        name: Its folder.
        clients: The services of AWS that it speaks to.
        ready: What it builds at its first invocation, and the models that every invocation needs: those are built when
            they are first used, and count here.
        speaks: What it speaks to the outside with, beside AWS's SDK, and its client.
    """

    name: str
    clients: Sequence[str]
    ready: str
    speaks: str = ""

    @property
    def ours(self) -> str:
        """Its import and its first clients."""
        return f"import app\n{self.ready}"

    @property
    def floor(self) -> str:
        """Only its required libraries, and the same clients."""
        clients = "\n".join(f"boto3.client({service!r})" for service in self.clients)
        return f"{_FLOOR}{self.speaks}{clients}\n"


_TRACKSTAR = "import httpx\nhttpx.Client(base_url='https://trackstar.invalid')\n"
_SLACK = "from slack_sdk.webhook import WebhookClient\nWebhookClient('https://hooks.slack.invalid/x')\n"
_FLOOR = """
import boto3
from aws_lambda_powertools import Logger, Metrics
from pydantic import BaseModel
class Model(BaseModel):
    name: str
Logger()
Metrics(namespace="orderwatch")
"""
_TIMED = """
from time import perf_counter
begun = perf_counter()
{code}
took = perf_counter() - begun
def handler(event, context):
    return took
"""
_ADAPTERS = "app._adapters(app.read_settings(app.{settings}))\n"
_STATE = "from orderwatch.aws.connection_table import state_from_row\nstate_from_row({'connection_id': 'c'})\n"
_EVERY_ALERT = "from orderwatch.alerts.alert import Alert\nAlert.model_rebuild()\n"
FUNCTIONS = (
    Function(
        "dispatch_polls",
        ("dynamodb", "ssm", "sqs"),
        _ADAPTERS.format(settings="DispatchPollsSettings")
        + _STATE
        + "from orderwatch.trackstar.connections import ConnectionPage\n"
        "ConnectionPage.model_rebuild()\n",
        speaks=_TRACKSTAR,
    ),
    Function(
        "poll_orders",
        ("dynamodb", "ssm", "sqs"),
        _ADAPTERS.format(settings="PollOrdersSettings")
        + _STATE
        + "from orderwatch.trackstar.connections import TrackstarConnection\n"
        "from orderwatch.trackstar.orders import Order\n"
        "for model in (TrackstarConnection, Order): model.model_rebuild()\n",
        speaks=_TRACKSTAR,
    ),
    Function(
        "publish_alerts",
        ("dynamodb", "sns", "ssm"),
        _ADAPTERS.format(settings="PublishAlertsSettings") + _EVERY_ALERT,
        speaks=_TRACKSTAR,
    ),
    Function("handle_action", ("dynamodb", "ssm"), _ADAPTERS.format(settings="HandleActionSettings")),
    Function(
        "redrive_alerts",
        ("dynamodb", "sns"),
        _ADAPTERS.format(settings="RedriveAlertsSettings"),
    ),
    Function(
        "send_summary",
        ("dynamodb", "ssm"),
        _ADAPTERS.format(settings="SendSummarySettings"),
        speaks=_TRACKSTAR,
    ),
    Function(
        "post_to_slack",
        ("dynamodb", "ssm"),
        "from pydantic import SecretStr\n"
        "app.Parameters.slack_webhook_url = lambda self: SecretStr('https://hooks.slack.invalid/x')\n"
        + _ADAPTERS.format(settings="PostToSlackSettings")
        + _EVERY_ALERT,
        speaks=_SLACK,
    ),
)
TEXT = f"""\
Import and first clients of each function with the built layer, under AWS's runtime interface emulator and runtime
client. The floor is a process that imports boto3 with the same clients, pydantic with one model, Powertools' Logger
and Metrics, and httpx (for Trackstar) or Slack's SDK with a client. Starting the interpreter is not included.
Models that every invocation needs are included. The table shows medians of {STARTS} starts, taken in turns; the
ratio is the median of the turns' ratios. "Without bytecode" is how SAM builds a layer by itself: Lambda compiles
every module at every cold start. The layer ships bytecode."""


def measure(say: Say) -> Section:
    """Run the benchmark."""
    built = build(this_architecture()).parent
    rows, targets = [], []
    with TemporaryDirectory() as scratch:
        bench = _Bench(built, Path(scratch))
        for function in FUNCTIONS:
            say(function.name)
            ours, floor = bench.starts(function, bytecode=True)
            ours_bare, floor_bare = bench.starts(function, bytecode=False)
            ratio = statistics.median(a / b for a, b in zip(ours, floor, strict=True))
            rows.append([function.name, *map(_milliseconds, (ours, floor)), f"{ratio:.2f}"])
            rows[-1] += map(_milliseconds, (ours_bare, floor_bare))
            targets.append(Target.ratio(f"cold start: {function.name}", ratio, at_most=BOUND))
    head = ["function", "start", "floor", "x the floor", "start without bytecode", "floor without bytecode"]
    return Section("Cold start", TEXT, head, rows, targets)


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


class _Bench:
    """The built layer with and without its bytecode, and the packages of the runtime, which have theirs on Lambda.

    Args:
        built: The directory that SAM built into.
        scratch: An empty directory.
    """

    def __init__(self, built: Path, scratch: Path) -> None:
        self._built, self._scratch = built, scratch
        self._layers: Mapping[bool, Path] = {True: built / "OrderwatchLayer", False: scratch / "layer"}
        shutil.copytree(self._layers[True], self._layers[False], ignore=shutil.ignore_patterns("__pycache__"))
        linked, self._packages = scratch / "linked", scratch / "packages"
        link_runtime_packages(linked)
        shutil.copytree(linked, self._packages)
        compileall.compile_dir(self._packages, quiet=2)

    def starts(self, function: Function, *, bytecode: bool) -> tuple[list[float], list[float]]:
        """The seconds of each start of the function and of its floor."""
        turns = [
            [self._start(function.name, code, layer=self._layers[bytecode]) for code in (function.ours, function.floor)]
            for _ in range(STARTS)
        ]
        ours, floor = zip(*turns, strict=True)
        return list(ours), list(floor)

    def _start(self, name: str, code: str, *, layer: Path) -> float:
        with TemporaryDirectory(dir=self._scratch) as folder:
            function = f"{name.title().replace('_', '')}Function"
            shutil.copytree(self._built / function, folder, dirs_exist_ok=True)
            (Path(folder) / "timed.py").write_text(_TIMED.format(code=code))
            with RuntimeInterface(
                function=Path(folder),
                layer=layer,
                environment=environment_of(function) | ENVIRONMENT,
                scratch=Path(folder),
                timeout=60,
                packages=self._packages,
                handler="timed.handler",
            ) as runtime:
                answer = runtime.invoke({})
                assert isinstance(answer.payload, float), f"{answer}\n{runtime.output()}"
                return answer.payload
