"""The real program in terminals that cannot show everything: it prints what it can, or one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT

PROGRAM = f"{sys.executable} -m orderwatch_cli"
PREVIEW = f"{PROGRAM} preview --channel slack"
SHOPS = f"{PROGRAM} shops --endpoint-url http://127.0.0.2:9"
ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("layers/orderwatch/python", "cli", "local")),
}


def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "0"},
        {"PYTHONIOENCODING": "cp1252", "COLUMNS": "abc", "LINES": "\u00b2"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "HOME": "/proc/none", "TERM": "dumb"},
    ],
    ids=str,
)
def test_a_result_is_printed_whatever_the_terminal(environment: dict[str, str]) -> None:
    ran = run(PREVIEW, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "5b1f0c9a7d3e4862b0a94c17e6f2d835" in ran.stdout, "the id of the alert"


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        (f"{PREVIEW} >/dev/full", 1, "orderwatch: No space left on device\n"),
        (f"{PREVIEW} | (exec <&-; sleep 3)", 0, ""),
        (f"{PREVIEW} | head -1 >/dev/null", 0, ""),
        (f"{PROGRAM} --help | (exec <&-; sleep 3)", 0, ""),
        (f"{PROGRAM} preview --channel json | (exec <&-; sleep 3)", 0, ""),
        (f"{PROGRAM} connect-slack <&-", 1, "orderwatch: no AWS credentials"),
        (f"{SHOPS} | (exec <&-; sleep 3)", 1, "orderwatch: no AWS credentials"),
        (f"{SHOPS} >&-", 1, "orderwatch: no AWS credentials: set AWS_PROFILE"),
        (f"{SHOPS} 2>&-", 1, ""),
        (f"{PROGRAM} up --connection conn_a <&-", 1, "orderwatch: no API key: set TRACKSTAR_API_KEY\n"),
    ],
)
def test_closed_or_full_streams_cause_no_traceback(command: str, code: int, err: str, tmp_path: Path) -> None:
    ran = run(command, HOME=str(tmp_path), AWS_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="true")
    assert ran.returncode == code
    assert ran.stderr.startswith(err)
    assert ran.stderr.count("\n") == bool(err)
