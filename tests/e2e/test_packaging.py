"""The deployment packages: how the layer is built, and what the built layer and functions contain."""

import subprocess
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest

from orderwatch_local.cloud.sam import PROJECT, SAM, build, this_architecture

FUNCTIONS = (
    "DispatchPolls",
    "PollOrders",
    "PublishAlerts",
    "RedriveAlerts",
    "SendSummary",
    "PostToSlack",
    "HandleAction",
)
MEGABYTE = 1024 * 1024
LAMBDA_TAKES = 250 * MEGABYTE
"""Unzipped, function and layers together."""
MAKE = ("make", "-s", "-C", str(PROJECT / "layers/orderwatch/python"))
SYSTEM = "/usr/bin:/bin"


@pytest.fixture(scope="module")
def built() -> Path:
    return build(this_architecture()).parent


@pytest.fixture(scope="module")
def layer(built: Path) -> Path:
    return built / "OrderwatchLayer/python"


def test_the_layer_holds_the_product_and_its_dependencies_only(layer: Path) -> None:
    """Not what the runtime brings (boto3) or what is for development."""
    found = {path.name for path in layer.iterdir() if not path.name.endswith((".dist-info", ".data"))}
    assert found >= {"orderwatch", "httpx", "pydantic", "pydantic_core", "aws_lambda_powertools", "slack_sdk", "tzdata"}
    unwanted = {"boto3", "botocore", "s3transfer", "awslambdaric", "aws_xray_sdk", "moto", "pytest", "typer", "rich"}
    assert found.isdisjoint(unwanted | {"tests", "local", "orderwatch_cli", "orderwatch_local"})
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


def test_the_layer_has_bytecode_without_local_paths(layer: Path) -> None:
    """Lambda cannot keep what it compiles: without it every cold start compiles every module."""
    for module in layer.rglob("*.py"):
        compiled = Path(cache_from_source(module)).read_bytes()
        assert compiled[: len(MAGIC_NUMBER)] == MAGIC_NUMBER
        assert compiled[4:8] == b"\1\0\0\0", "independent of the module's time and content"
        assert f"/opt/{module.relative_to(layer.parent)}".encode() in compiled


def test_the_layer_is_small_and_runs_on_both_processors(layer: Path) -> None:
    assert {path.name.split("-")[2] for path in layer.rglob("*.so")} == {"x86_64", "aarch64"}
    assert sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) < LAMBDA_TAKES / 5


def test_a_function_is_its_handler_and_nothing_else(built: Path) -> None:
    found = {name: {path.name for path in (built / f"{name}Function").iterdir()} for name in FUNCTIONS}
    assert {name: files - {"__pycache__"} for name, files in found.items()} == {name: {"app.py"} for name in FUNCTIONS}


def make(path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the layer's Makefile, as `sam build` does, with this PATH."""
    return subprocess.run([*MAKE, *arguments], env={"PATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("active", [PROJECT / ".venv/bin", SAM.parent], ids=["the project's", "SAM CLI's"])
def test_an_active_environment_without_pip_can_build(active: Path) -> None:
    path = f"{active}:{SYSTEM}"
    found = make(path, "--eval=found: ; @echo '$(PYTHON)'", "found").stdout.strip()
    assert subprocess.run([found, "-m", "pip", "--version"], env={"PATH": path}, check=False).returncode == 0


def test_the_build_uses_the_given_python() -> None:
    shown = make(SYSTEM, "--eval=found: ; @echo '$(PYTHON)'", "found", "PYTHON=/somewhere/python3.13")
    assert shown.stdout.strip() == "/somewhere/python3.13"


def test_without_a_suitable_python_the_build_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "python3.13").chmod(0o755)
    for tool in ("make", "sh", "test", "echo"):
        (tmp_path / tool).symlink_to(Path(SYSTEM.partition(":")[0]) / tool)
    failed = make(str(tmp_path), "build-OrderwatchLayer", f"ARTIFACTS_DIR={tmp_path}")
    assert failed.returncode != 0
    assert "install Python 3.13 with pip" in failed.stderr
