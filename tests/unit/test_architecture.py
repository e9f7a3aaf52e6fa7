"""The house holds: the folder of a module says what it may import, and nothing is built before it is needed."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.template import ROOT

LAYER = ROOT / "layers/orderwatch/python"
PACKAGE = LAYER / "orderwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))
COMMAND_LINE = sorted((ROOT / "cli/orderwatch_cli").rglob("*.py"))
HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))
SHARED = "shared"
"""The room of the modules that lie beside the folders."""
CLIENT = "orderwatch.trackstar.client"
MAX_ROOMS = 13

COMMON = {SHARED, "alerts"}
MAY_IMPORT = {
    SHARED: {SHARED},
    "alerts": COMMON,
    "trackstar": {SHARED, "trackstar"},
    "deadlines": COMMON | {"deadlines"},
    "polling": COMMON | {"polling", "deadlines", "trackstar"},
    "publishing": COMMON | {"publishing", "deadlines", "trackstar"},
    "summarizing": COMMON | {"summarizing", "polling", "publishing", "deadlines", "trackstar"},
    "aws": COMMON | {"aws", "polling", "deadlines", "publishing", "summarizing", "trackstar"},
    "slack": COMMON | {"slack", "publishing"},
}
"""The rooms that each room may import: the rules know no edge, and no two edges know each other."""
LIBRARIES = {"boto3": "aws", "botocore": "aws", "httpx": "trackstar", "slack_sdk": "slack"}
"""The room in which each library that reaches outside may be imported, but for the exceptions below."""
BORROWED = {("publishing/messages/slack.py", "slack_sdk")}
"""Slack's message builder checks its limits with the models of Slack's library, which reach nothing."""


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else SHARED


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, names of ours in full: `orderwatch.errors`."""
    return {name for node in ast.walk(ast.parse(path.read_text())) for name in _imported(node)}


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        assert node.level == 0, "imports are absolute"
        yield node.module
        if node.module.split(".")[0] == "orderwatch":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(names: set[str]) -> set[str]:
    """The rooms that these names lie in."""
    ours = (name.split(".")[1] for name in names if name.startswith("orderwatch."))
    return {part if (PACKAGE / part).is_dir() else SHARED for part in ours}


def libraries(names: set[str]) -> set[str]:
    """The distributions that these names come from; the stubs of boto3 count as boto3."""
    roots = {name.split(".")[0] for name in names}
    return {"boto3" if root.startswith("mypy_boto3_") else root for root in roots}


def test_the_house_has_few_rooms() -> None:
    entries = {path for path in PACKAGE.iterdir() if path.name not in {"__init__.py", "__pycache__"}}
    assert len(entries) <= MAX_ROOMS
    assert {room_of(path) for path in MODULES} <= MAY_IMPORT.keys()
    assert len(HANDLERS) == 6


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_the_rooms_that_its_own_may_know(path: Path) -> None:
    assert rooms(imports_of(path)) <= MAY_IMPORT[room_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_client_speaks_to_trackstar_and_no_room_of_rules_knows_it(path: Path) -> None:
    assert CLIENT not in imports_of(path)
    if name_of(path) not in {"trackstar/client.py", "trackstar/requests.py"}:
        assert "httpx" not in libraries(imports_of(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_that_reaches_outside_is_imported_in_its_room_alone(path: Path) -> None:
    borrowed = {library for name, library in BORROWED if name == name_of(path)}
    elsewhere = {library for library, room in LIBRARIES.items() if room != room_of(path)}
    assert libraries(imports_of(path)).isdisjoint((elsewhere | {"requests", "socket", "urllib3"}) - borrowed)


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=str)
def test_clients_of_aws_are_built_in_one_place_so_that_all_have_its_timeouts(path: Path) -> None:
    if path != PACKAGE / "aws/clients.py":
        assert "boto3" not in imports_of(path)


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=str)
def test_the_product_knows_neither_its_tests_nor_its_tools(path: Path) -> None:
    assert libraries(imports_of(path)).isdisjoint({"tests", "orderwatch_local", "orderwatch_cli", "moto", "functions"})


@pytest.mark.parametrize("path", COMMAND_LINE, ids=lambda path: path.name)
def test_the_command_line_knows_nothing_of_the_repository_but_where_to_look_for_its_commands(path: Path) -> None:
    assert libraries(imports_of(path)).isdisjoint({"tests", "orderwatch_local", "moto", "functions"})
    if path.name != "repository.py":
        assert "orderwatch_local" not in path.read_text(), "not even by name"


def test_importing_every_module_and_handler_reads_no_setting_and_builds_no_client() -> None:
    script = f"""
import importlib.util, os, sys
for name in {[*_dotted(MODULES)]!r}:
    importlib.import_module(name)
import boto3, botocore.session
def explode(*arguments, **named):
    raise AssertionError("built at import")
boto3.client = boto3.resource = boto3.Session = botocore.session.Session.create_client = explode
for path in {[*map(str, HANDLERS)]!r}:
    spec = importlib.util.spec_from_file_location("app", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""
    run_python(script)


def _dotted(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        yield ".".join(path.relative_to(LAYER).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize(
    ("function", "unused"),
    [
        ("dispatch_polls", {"slack_sdk", "orderwatch.publishing"}),
        ("redrive_alerts", {"httpx", "slack_sdk", CLIENT, "orderwatch.polling"}),
        ("publish_alerts", {"slack_sdk", "orderwatch.polling"}),
        ("poll_orders", {"slack_sdk", "orderwatch.publishing"}),
        ("send_summary", {"slack_sdk", "orderwatch.polling.poll", "orderwatch.publishing.messages.sns"}),
        ("post_to_slack", {"httpx", CLIENT, "orderwatch.polling"}),
    ],
)
def test_a_function_imports_nothing_that_it_does_not_use(function: str, unused: set[str]) -> None:
    path = ROOT / "functions" / function / "app.py"
    script = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("app", {str(path)!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*({unused!r} & set(sys.modules)))
"""
    assert run_python(script).strip() == ""


def run_python(script: str) -> str:
    """Run a script where only the layer can be imported, with nothing of an AWS account in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": str(LAYER)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
