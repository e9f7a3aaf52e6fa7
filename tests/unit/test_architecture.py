"""The house holds: who may import what, and nothing is built before it is needed."""

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
HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))
DOMAIN = {
    "orders",
    "transitions",
    "polling",
    "seen_orders",
    "windows",
    "connections",
    "alerts",
    "grouping",
    "enrichment",
    "publishing",
}
AWS_EDGES = {
    "dynamodb",
    "order_table",
    "connection_table",
    "alert_table",
    "poll_store",
    "alert_topic",
    "poll_queue",
    "parameters",
    "slack_pace",
}
EDGES = AWS_EDGES | {"trackstar", "slack_webhook", "product_cache"}
SLACK = {"slack_webhook", "messages.slack"}
AWS = {"boto3", "botocore", "mypy_boto3_dynamodb", "mypy_boto3_sns", "mypy_boto3_sqs", "mypy_boto3_ssm"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


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


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def is_domain(path: Path) -> bool:
    return name_of(path) in DOMAIN or name_of(path).startswith("messages")


def test_the_lists_of_this_test_name_modules_that_exist() -> None:
    names = {name_of(path) for path in MODULES}
    assert names >= DOMAIN | EDGES | SLACK
    assert len(HANDLERS) == 5


@pytest.mark.parametrize("path", [path for path in MODULES if is_domain(path)], ids=name_of)
def test_the_domain_imports_no_edge_and_no_library_of_one(path: Path) -> None:
    names = imports_of(path)
    assert names.isdisjoint(f"orderwatch.{edge}" for edge in EDGES)
    allowed = {"slack_sdk"} if name_of(path) in SLACK else set()
    assert roots(names).isdisjoint({*AWS, "httpx", "urllib", "requests", "socket", "slack_sdk"} - allowed - {"urllib"})


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_aws_is_spoken_to_only_by_the_modules_named_for_it(path: Path) -> None:
    if name_of(path) not in AWS_EDGES:
        assert roots(imports_of(path)).isdisjoint(AWS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_http_is_spoken_only_by_the_client_of_trackstar(path: Path) -> None:
    if name_of(path) != "trackstar":
        assert "httpx" not in roots(imports_of(path))


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=str)
def test_slacks_library_is_imported_only_by_the_modules_named_for_it(path: Path) -> None:
    if path in HANDLERS or name_of(path) not in SLACK:
        assert "slack_sdk" not in roots(imports_of(path))


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=str)
def test_the_product_knows_neither_its_tests_nor_its_simulation(path: Path) -> None:
    assert roots(imports_of(path)).isdisjoint({"tests", "orderwatch_local", "moto", "functions"})


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
        yield "orderwatch" if path.parent == PACKAGE and path.stem == "__init__" else f"orderwatch.{name_of(path)}"


@pytest.mark.parametrize(
    ("function", "unused"),
    [
        ("dispatch_polls", {"httpx", "slack_sdk", "orderwatch.trackstar", "orderwatch.polling"}),
        ("redrive_alerts", {"httpx", "slack_sdk", "orderwatch.trackstar", "orderwatch.polling"}),
        ("publish_alerts", {"slack_sdk", "orderwatch.polling"}),
        ("poll_orders", {"slack_sdk", "orderwatch.publishing"}),
        ("post_to_slack", {"httpx", "orderwatch.trackstar", "orderwatch.polling"}),
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
