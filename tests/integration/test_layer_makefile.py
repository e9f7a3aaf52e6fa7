"""The layer's Makefile finds a Python with pip whatever environment comes first on the PATH."""

import os
import subprocess

import pytest

from tests.support.template import ROOT

MAKEFILE = ROOT / "layers/orderwatch/python/Makefile"


@pytest.mark.parametrize("first", [".venv/bin", ".tools/sam/bin"])
def test_the_layer_is_built_with_a_python_that_has_pip(first: str) -> None:
    path = os.pathsep.join([str(ROOT / first), os.defpath])
    done = subprocess.run(
        ["make", "-s", "-f", str(MAKEFILE), "--eval", "which: ; @$(PIP) --version", "which"],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pip ")
