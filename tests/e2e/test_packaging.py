"""The deployment packages: only the built layer and the built functions."""

import subprocess
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest

from orderwatch_local.cloud.sam import build, this_architecture

FUNCTIONS = ("DispatchPolls", "PollOrders", "PublishAlerts", "RedriveAlerts", "SendSummary", "PostToSlack")
MEGABYTE = 1024 * 1024
LAMBDA_TAKES = 250 * MEGABYTE
"""Unzipped, function and layers together."""


@pytest.fixture(scope="module")
def built() -> Path:
    return build(this_architecture()).parent


@pytest.fixture(scope="module")
def layer(built: Path) -> Path:
    return built / "OrderwatchLayer/python"


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def packages(layer: Path) -> set[str]:
    return {path.name for path in layer.iterdir() if not path.name.endswith((".dist-info", ".data"))}


def test_the_layer_holds_the_domain_and_its_dependencies(layer: Path) -> None:
    libraries = {"httpx", "pydantic", "pydantic_core", "aws_lambda_powertools", "slack_sdk", "tzdata"}
    assert packages(layer) >= {"orderwatch", *libraries}
    assert (layer / "orderwatch/rendering/email.py").exists()


def test_the_layer_has_its_own_time_zone_data(layer: Path) -> None:
    script = (
        "from datetime import UTC, datetime; from orderwatch.shop_settings import time_zone; "
        "print(datetime(2026, 7, 6, 9, tzinfo=UTC).astimezone(time_zone('Europe/Berlin')).tzname())"
    )
    # -S and an empty PYTHONTZPATH: neither this environment's packages nor this machine's zone data.
    environment = {"PYTHONPATH": str(layer), "PYTHONTZPATH": ""}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("CEST\n", 0), done.stderr


def test_the_layer_has_no_runtime_or_development_packages(layer: Path) -> None:
    runtime = {"boto3", "botocore", "s3transfer", "awslambdaric"}
    development = {
        "tests",
        "local",
        "orderwatch_cli",
        "orderwatch_local",
        "moto",
        "pytest",
        "hypothesis",
        "typer",
        "rich",
        "aws_xray_sdk",
    }
    assert packages(layer).isdisjoint(runtime | development)


def test_the_layer_has_bytecode_without_local_paths(layer: Path) -> None:
    """Lambda cannot keep what it compiles: without it every cold start compiles every module."""
    for module in layer.rglob("*.py"):
        compiled = Path(cache_from_source(module)).read_bytes()
        assert compiled[: len(MAGIC_NUMBER)] == MAGIC_NUMBER
        assert compiled[4:8] == b"\1\0\0\0", "independent of the module's time and content"
        assert f"/opt/{module.relative_to(layer.parent)}".encode() in compiled


def test_the_layer_runs_on_both_processors(layer: Path) -> None:
    built_for = {path.name.split("-")[2] for path in layer.rglob("*.so")}
    assert built_for == {"x86_64", "aarch64"}


def test_the_layer_is_small(layer: Path) -> None:
    size = size_of(layer)
    print(f"the layer is {size / MEGABYTE:.1f} MB unzipped")  # noqa: T201 - a figure to look at with `pytest -s`
    assert size < LAMBDA_TAKES / 5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_its_handler_and_nothing_else(built: Path, name: str) -> None:
    assert [path.name for path in (built / f"{name}Function").iterdir() if path.name != "__pycache__"] == ["app.py"]
