"""The wheel in an empty environment outside the repository, as a user installs it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.template import ROOT

pytestmark = pytest.mark.slow
UV = ROOT / ".tools/uv/bin/uv"
PINS = ROOT / "local/requirements/dev.txt"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def orderwatch(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed with its extra."""
    return installed(f"{wheel}[cli]", tmp_path_factory.mktemp("installed"))


def installed(what: str, folder: Path) -> Path:
    """Install into a new environment what the pins and their hashes allow, from the registry that uv is set to."""
    environment = folder / "venv"
    run([str(UV), "venv", "-q", "--python", sys.executable, str(environment)])
    python = str(environment / "bin/python")
    run([str(UV), "pip", "install", "-q", "--python", python, "--constraint", str(PINS), what])
    return environment / "bin/orderwatch"


def run(command: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def types(orderwatch: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without AWS settings, in an empty folder."""
    home = str(orderwatch.parents[2])
    bare = {"PATH": os.defpath, "HOME": home, "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(
        [orderwatch, *arguments],
        env=bare | environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_wheel_has_only_the_product_and_its_command_line(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"orderwatch", "orderwatch_cli"}


def test_the_installed_command_explains_itself(orderwatch: Path, wheel: Path) -> None:
    done = types(orderwatch, "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("doctor" in done.stdout, "demo" in done.stdout) == (True, False)
    assert types(orderwatch, "doctor", "--help").returncode == 0
    assert types(orderwatch, "--version").stdout == f"orderwatch {wheel.name.split('-')[1]}\n"


@pytest.mark.parametrize(
    ("command", "environment", "says"),
    [
        ("shops", {}, "no AWS region: set AWS_REGION"),
        ("shops", {"AWS_REGION": "eu-west-1"}, "no AWS credentials: set AWS_PROFILE"),
        ("demo", {}, "demo needs a checkout of orderwatch: run `make setup` there"),
    ],
)
def test_a_command_that_cannot_run_names_the_remedy_in_one_line(
    orderwatch: Path, command: str, environment: dict[str, str], says: str
) -> None:
    done = types(orderwatch, command, **environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"orderwatch: {says}")


def test_without_its_extra_the_command_shows_how_to_install_it(wheel: Path, tmp_path: Path) -> None:
    done = types(installed(str(wheel), tmp_path), "--help")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'orderwatch[cli]'" in done.stderr
