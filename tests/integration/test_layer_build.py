"""`sam build` runs the layer's Makefile, which finds a Python that can install whatever environment is active."""

import subprocess
from pathlib import Path

import pytest

from orderwatch_local.cloud.sam import PROJECT, SAM

MAKE = ("make", "-s", "-C", str(PROJECT / "layers/orderwatch/python"))
SYSTEM = "/usr/bin:/bin"


def run(path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAKE, *arguments], env={"PATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "active", [PROJECT / ".venv/bin", SAM.parent], ids=["the project's environment", "the environment of SAM CLI"]
)
def test_an_active_environment_without_pip_can_build(active: Path) -> None:
    path = f"{active}:{SYSTEM}"
    found = run(path, "--eval=found: ; @echo '$(PYTHON)'", "found").stdout.strip()
    assert subprocess.run([found, "-m", "pip", "--version"], env={"PATH": path}, check=False).returncode == 0


def test_the_build_uses_the_given_python() -> None:
    shown = run(SYSTEM, "--eval=found: ; @echo '$(PYTHON)'", "found", "PYTHON=/somewhere/python3.13")
    assert shown.stdout.strip() == "/somewhere/python3.13"


def test_without_a_suitable_python_the_build_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "python3.13").chmod(0o755)
    for tool in ("make", "sh", "test", "echo"):
        (tmp_path / tool).symlink_to(Path(SYSTEM.partition(":")[0]) / tool)
    failed = run(str(tmp_path), "build-OrderwatchLayer", f"ARTIFACTS_DIR={tmp_path}")
    assert failed.returncode != 0
    assert "install Python 3.13 with pip" in failed.stderr
