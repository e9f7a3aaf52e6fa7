"""Every command in the docs is valid: its program, options and arguments exist."""

import json
import re
import subprocess
from functools import cache
from itertools import pairwise
from typing import Any

import botocore.session
import httpx
import pytest
from botocore import xform_name
from botocore.model import OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator
from typer import Context
from typer.main import get_command

from orderwatch_cli.main import app
from orderwatch_local.simulator import ShopTransport, day_of_three_shops
from orderwatch_local.simulator.script import API_KEY
from tests.support.doc_commands import PAGES, Command, commands_of
from tests.support.template import ROOT, load_template

COMMANDS = [command for page in PAGES for command in commands_of(page)]
OURS: Any = get_command(app)
TEMPLATE: dict[str, Any] = load_template()
MAKEFILE = (ROOT / "Makefile").read_text()
SAM = ROOT / ".tools/sam/bin/python"
OTHER_PROGRAMS = {
    *("[", "cd", "cp", "curl", "done", "du", "echo", "export", "git", "jq", "next"),
    *("pipx", "printf", "python3.13", "read", "sleep", "uv"),
}
AWS_OWN_OPTIONS = {"--endpoint-url", "--output", "--profile", "--query", "--region"}
OPTIONS_OF_SAM = """
import json, sys
from click import Context
from samcli.cli.main import cli
known = {}
for path in json.load(sys.stdin):
    command = cli
    for name in path:
        command = command.get_command(Context(command, obj=True), name)  # SAM loads a command only where there is one
        if command is None:
            sys.exit(f"sam {' '.join(path)}: no such command")
    known[" ".join(path)] = [each for param in command.params for each in (*param.opts, *param.secondary_opts)]
print(json.dumps(known))
"""


def shown(program: str) -> list[Command]:
    found = [command for command in COMMANDS if command.program == program]
    assert found, program
    return found


def options(command: Command) -> list[str]:
    return [word.partition("=")[0] for word in command.words if re.match(r"--?[a-z]", word)]


def test_every_called_program_is_known() -> None:
    called = {command.program for command in COMMANDS if command.is_whole}
    assert called == {"orderwatch", "aws", "sam", "make"} | OTHER_PROGRAMS


# orderwatch


@pytest.mark.parametrize("command", shown("orderwatch"), ids=str)
def test_a_command_of_orderwatch_is_valid(command: Command) -> None:
    words = [word for word in command.words if word not in {"-h", "--help"}]
    if not words or words[0].startswith("-"):
        known = {each for parameter in OURS.get_params(Context(OURS)) for each in parameter.opts}
        assert set(words) <= known
        return
    name, *rest = words
    called = OURS.commands[name]
    if command.is_whole:
        called.make_context(name, rest, parent=Context(OURS)).close()
    else:
        assert set(options(command)) <= {each for parameter in called.params for each in parameter.opts}


# AWS


@pytest.mark.parametrize("command", shown("aws"), ids=str)
def test_a_command_of_the_aws_cli_is_valid(command: Command) -> None:
    words = without_own_options(command.words)
    if words in ([], ["--version"]):
        return
    service, name, *rest = words
    if name == "wait":
        assert rest[0] in waiters(service)
        operation = waiter_operation(service, rest.pop(0))
    else:
        operation = operations(service)[name]
    check(operation, rest, is_whole=command.is_whole)


def without_own_options(words: tuple[str, ...]) -> list[str]:
    left, rest = [], iter(words)
    for word in rest:
        if word in AWS_OWN_OPTIONS:
            next(rest, None)
        else:
            left.append(word)
    return left


def check(operation: OperationModel, words: list[str], *, is_whole: bool) -> None:
    """Check that options and values fit the operation, and that no required option is missing."""
    shape = operation.input_shape
    assert isinstance(shape, StructureShape)
    members = {f"--{xform_name(name, '-')}": name for name in shape.members}
    given = {word: members.get(word) or members.get(word.replace("--no-", "--")) for word in words if is_option(word)}
    assert [word for word, name in given.items() if name is None] == []
    if is_whole:
        assert set(shape.required_members) <= set(given.values())
    for word, value in pairwise(words):
        if word in members and not is_option(value):
            check_value(shape.members[members[word]], value)


def is_option(word: str) -> bool:
    return word.startswith("--")


def check_value(shape: Shape, value: str) -> None:
    if shape.type_name not in {"structure", "map", "list"} or value.startswith("file://"):
        return
    if value.startswith(("{", "[")):
        report = ParamValidator().validate(json.loads(value), shape)
        assert not report.has_errors(), report.generate_report()
    elif isinstance(shape, StructureShape):
        assert {pair.partition("=")[0] for pair in value.split(",")} <= shape.members.keys()


@cache
def aws() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def operations(service: str) -> dict[str, OperationModel]:
    model = aws().get_service_model(service)
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


@cache
def waiters(service: str) -> dict[str, str]:
    model = aws().get_waiter_model(service)
    return {xform_name(name, "-"): model.get_waiter(name).operation for name in model.waiter_names}


def waiter_operation(service: str, name: str) -> OperationModel:
    return aws().get_service_model(service).operation_model(waiters(service)[name])


# SAM and make


@cache
def options_of_sam() -> dict[str, list[str]]:
    """The options of each command of SAM CLI that a page shows, as the pinned one knows them."""
    paths = sorted({sam_command(command) for command in shown("sam")})
    done = subprocess.run(
        [SAM, "-c", OPTIONS_OF_SAM], input=json.dumps(paths), text=True, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    known: dict[str, list[str]] = json.loads(done.stdout)
    return known


def sam_command(command: Command) -> tuple[str, ...]:
    return command.words[: 2 if command.words[:1] == ("local",) else 1]


@pytest.mark.slow
def test_every_option_of_sam_exists() -> None:
    unknown = [
        (str(command), option)
        for command in shown("sam")
        for option in options(command)
        if option not in options_of_sam()[" ".join(sam_command(command))]
    ]
    assert unknown == []


def test_parameter_overrides_are_valid_and_quoted() -> None:
    overriding = [command for command in shown("sam") if "--parameter-overrides" in command.words]
    assert overriding
    for command in overriding:
        overridden = command.words[command.words.index("--parameter-overrides") + 1 :]
        # SAM cuts a value at a blank, and refuses an empty one, unless it is in quotation marks.
        assert [word for word in overridden if not re.fullmatch(r'\w+=("[^"]*"|[^\s"]+)', word)] == []
        assert {word.partition("=")[0] for word in overridden} <= deployed_by(command)["Parameters"].keys()


def deployed_by(command: Command) -> dict[str, Any]:
    """The template that a command of SAM names."""
    named = "--template-file" in command.words
    return load_template(command.words[command.words.index("--template-file") + 1]) if named else TEMPLATE


@pytest.mark.parametrize("command", shown("make"), ids=str)
def test_a_make_target_and_its_variables_exist(command: Command) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for word in command.words:
        variable, is_set, _ = word.partition("=")
        assert f"$({variable})" in MAKEFILE if is_set else word in targets


# curl


def test_the_curl_command_lists_the_connections() -> None:
    page = (ROOT / "docs/getting-started.md").read_text()
    [(header, url)] = re.findall(r"printf '([\w-]+): %s' \"\$TRACKSTAR_API_KEY\" \|\n +curl -sS -H @- (\S+)", page)
    trackstar = day_of_three_shops(1).begin()
    with httpx.Client(transport=ShopTransport(trackstar)) as client:
        listed = client.get(url, headers={header: API_KEY}).json()["data"]
    assert url.startswith(TEMPLATE["Parameters"]["TrackstarBaseUrl"]["Default"])
    assert [each["connection_id"] for each in listed] == [shop.connection_id for shop in trackstar.shops]
    assert {each["integration_type"] for each in listed} == {"cart"}
