"""A pytest plugin: records which test executes which line of the layer, and how long each test takes."""

import json
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

RECORD, RECORDED_PATH = "MUTANTS_RECORD", "MUTANTS_RECORDED_PATH"
"""The variables that name the file of the record, and the folder whose lines are recorded."""

MEMORY = 6 * 2**30
"""Bytes that a test process may map: a mutant may loop for ever and collect."""

resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
_root = os.environ.get(RECORDED_PATH, "")
_lines: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)
_seconds: defaultdict[str, float] = defaultdict(float)
_failed: set[str] = set()
_test = ""


def _executed(code: CodeType, line: int) -> object:
    if _test and code.co_filename.startswith(_root):
        _lines[code.co_filename].add((line, _test))
    return sys.monitoring.DISABLE  # until the next test


if os.environ.get(RECORD):
    sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "mutants")
    sys.monitoring.register_callback(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE, _executed)
    sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fixtures count as their test does, and the parameters of a test function as one test."""
    global _test  # noqa: PLW0603 - the callback has no other argument
    _test = item.nodeid.split("[")[0]
    sys.monitoring.restart_events()
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the time of a test function over its parameters."""
    name = report.nodeid.split("[")[0]
    _seconds[name] += report.duration
    if report.failed:
        _failed.add(name)


def pytest_sessionfinish() -> None:
    """Write what passed: a test that always fails kills no mutant."""
    if path := os.environ.get(RECORD):
        sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, 0)
        passed = {name: seconds for name, seconds in _seconds.items() if name not in _failed}
        lines = {module: sorted(seen) for module, seen in _lines.items()}
        Path(path).write_text(json.dumps({"seconds": passed, "lines": lines}))
