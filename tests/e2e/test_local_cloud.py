"""The local cloud: its guard, its processes, and the build.

It holds real keys and runs code, so it serves only the run that started it, and nothing of it outlives that run.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from orderwatch_cli.local_credentials import find_session_token
from orderwatch_cli.main import run
from orderwatch_local.cloud import sam as build_module
from orderwatch_local.cloud.containers import LOOPBACK, Relay, forward_to_cloud
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.processes import GuardedProcess, clean_environment
from orderwatch_local.cloud.sam import build, source_digest
from orderwatch_local.errors import BuildFailedError, PortInUseError, StartFailedError, ToolMissingError

KEY = "the-real-api-key"
PARAMETER = "/guarded/trackstar/api-key"
FOREIGN = "https://evil.example"


# The guard


def ask(cloud: LocalCloud, method: str, path: str, body: object, **headers: str) -> tuple[int, str]:
    """A request as any process or web page can make it: status, and headers with body."""
    address = urlsplit(cloud.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=json.dumps(body).encode() if body else None, headers=named)
        response = connection.getresponse()
        return response.status, f"{response.headers}{response.read().decode(errors='replace')}"
    finally:
        connection.close()


def read_key(cloud: LocalCloud, **headers: str) -> tuple[int, str]:
    target = {"x_amz_target": "AmazonSSM.GetParameter", "content_type": "text/plain"}
    return ask(cloud, "POST", "/", {"Name": PARAMETER, "WithDecryption": True}, **target, **headers)


def own_secret(cloud: LocalCloud) -> dict[str, str]:
    return {"x_amz_security_token": cloud.environment()["AWS_SESSION_TOKEN"]}


@pytest.fixture
def guarded(cloud: LocalCloud) -> LocalCloud:
    """A local cloud that holds a key."""
    cloud.put_secret(PARAMETER, KEY)
    return cloud


def test_a_web_page_or_another_process_is_refused(guarded: LocalCloud) -> None:
    own, page, functions = own_secret(guarded), {"origin": FOREIGN}, "/2015-03-31/functions"
    by_address = f"/?Action=GetParameter&Version=2014-11-06&Name={PARAMETER}&WithDecryption=true"
    planted = {"FunctionName": "planted", "Runtime": "python3.13", "Handler": "app.handler", "Role": "none"}
    refused = [
        read_key(guarded),
        read_key(guarded, **page),
        read_key(guarded, **own, **page),
        read_key(guarded, **own, origin="null"),
        read_key(guarded, **own, host="evil.example"),
        ask(guarded, "GET", by_address, None, **page),
        ask(guarded, "OPTIONS", "/", None, **page, access_control_request_method="POST"),
        ask(guarded, "POST", functions, planted, content_type="text/plain", **page),
        ask(guarded, "POST", f"{functions}/planted/invocations", None, content_type="text/plain", **page),
    ]
    for status, shown in refused:
        assert (status, KEY in shown, "access-control-allow-origin" in shown.lower()) == (403, False, False)
    assert "planted" not in str(guarded.client("lambda").list_functions()["Functions"])
    status, shown = read_key(guarded, **own)
    assert (status, KEY in shown) == (200, True)


def test_a_tool_with_the_credentials_file_is_served(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(guarded.credentials_file))
    ssm = boto3.Session(region_name="us-east-1").client("ssm", endpoint_url=guarded.endpoint)
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == KEY


def test_a_command_without_credentials_is_refused_in_one_line(
    guarded: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        run(["shops", "--endpoint-url", guarded.endpoint])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (1, "", 1)
    assert "serves only the user and the run that started it" in err


def test_a_container_is_served_through_the_relay_with_any_credentials(guarded: LocalCloud) -> None:
    to_cloud = forward_to_cloud(guarded.endpoint, guarded.environment()["AWS_SESSION_TOKEN"])
    with Relay(LOOPBACK, {"aws": to_cloud}) as relay:
        users = boto3.Session("AKIAUSER", "secret-of-the-user", "token-of-the-user", region_name="eu-central-1")
        ssm = users.client("ssm", endpoint_url=relay.url("aws", host="127.0.0.1"))
        assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == KEY
        ssm.close()


def test_a_second_cloud_is_separate_and_leaves_nothing(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "one-that-does-not-exist")
    with LocalCloud() as other:
        path, endpoint = other.credentials_file, other.endpoint
        other.put_secret("/only/in/other", "x")
        assert guarded.client("ssm").get_parameters(Names=["/only/in/other"])["Parameters"] == []
        assert read_key(guarded, **own_secret(other))[0] == 403
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert find_session_token(endpoint) == own_secret(other)["x_amz_security_token"]
        assert find_session_token(endpoint.replace("127.0.0.1", "localhost"))
        assert find_session_token(endpoint.replace("127.0.0.1", "cloud.example")) is None
        with pytest.raises(PortInUseError, match=f"port {urlsplit(endpoint).port} "):
            LocalCloud(port=urlsplit(endpoint).port or 0).start()
    assert not path.parent.exists()
    assert find_session_token(endpoint) is None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(endpoint).port or 0)) != 0
    other.close()


def test_an_emulator_that_ends_is_an_error_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch_local.cloud.local_cloud._EMULATOR", fake_sam(tmp_path, "echo out of luck; exit 3"))
    with pytest.raises(StartFailedError, match="out of luck"):
        LocalCloud().start()


# Its processes

# It and a child that ignores SIGTERM connect to the test, so that the test notices when they end.
CONNECTED = """
import signal, socket, subprocess, sys, threading
source, port, generation = sys.argv[1:]
if generation == "parent":
    subprocess.Popen([sys.executable, "-c", source, source, port, "child"])
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
line = socket.create_connection(("127.0.0.1", int(port)))
threading.Event().wait()
"""
OWNER = """
import os, sys, threading
from pathlib import Path
from orderwatch_local.cloud.processes import GuardedProcess
GuardedProcess(sys.argv[3:], env=dict(os.environ), log=Path(sys.argv[1]), scratch=Path(sys.argv[2]))
threading.Event().wait()
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


@pytest.fixture
def command(listener: socket.socket) -> list[str]:
    return [sys.executable, "-c", CONNECTED, CONNECTED, str(listener.getsockname()[1]), "parent"]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@contextmanager
def two_lines(listener: socket.socket) -> Iterator[list[socket.socket]]:
    """The connections of a child and of its own child."""
    with listener.accept()[0] as first, listener.accept()[0] as second:
        first.settimeout(20)
        second.settimeout(20)
        yield [first, second]


def test_closing_a_process_ends_its_children(
    listener: socket.socket, command: list[str], tmp_path: Path, scratch: Path
) -> None:
    process = GuardedProcess(command, env=dict(os.environ), log=tmp_path / "log", scratch=scratch)
    with process, two_lines(listener) as lines:
        assert process.is_running
        assert os.getsid(process.group) != os.getsid(0), "Ctrl-C does not reach it"
        process.close()
        assert [line.recv(1) for line in lines] == [b"", b""]
    assert not process.is_running
    assert not scratch.exists()


def test_a_killed_parent_leaves_no_process_and_no_file(
    listener: socket.socket, command: list[str], tmp_path: Path, scratch: Path
) -> None:
    arguments = [str(tmp_path / "log"), str(scratch), *command]
    with subprocess.Popen([sys.executable, "-c", OWNER, *arguments]) as owner, two_lines(listener) as lines:
        owner.kill()
        assert [line.recv(1) for line in lines] == [b"", b""]
    assert not scratch.exists()


def test_a_child_knows_nothing_of_the_users_account(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "TRACKSTAR_API_KEY", "PYTHONPATH"}
    for name in secret:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = clean_environment({"GATEWAY_PORT": "1"})
    assert environment.keys().isdisjoint(secret)
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1"
    assert environment["GATEWAY_PORT"] == "1"


# The build


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project like ours, in small."""
    root = tmp_path / "project"
    (root / "functions/poll/__pycache__").mkdir(parents=True)
    (root / "layers").mkdir()
    (root / "template.yaml").write_text("Resources: {}\n")
    (root / "functions/poll/app.py").write_text("def handler(event, context): ...\n")
    return root


def fake_sam(tmp_path: Path, script: str) -> Path:
    program = tmp_path / "sam"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_a_build_is_stale_after_a_change_of_any_source(project: Path) -> None:
    before = source_digest(project)
    (project / "functions/poll/__pycache__/app.cpython-313.pyc").write_bytes(b"new")
    assert source_digest(project) == before
    for changed in ("template.yaml", "functions/poll/app.py", "layers/requirements.txt"):
        with (project / changed).open("a") as file:
            file.write("# changed\n")
        assert source_digest(project) != before
        before = source_digest(project)


def test_an_up_to_date_build_is_reused(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = fake_sam(tmp_path, 'mkdir -p build/OrderwatchLayer && echo built >> runs && echo "$*" > build/template.yaml')
    monkeypatch.setattr(build_module, "SAM", sam)
    template = build("x86_64", project=project)
    assert build("x86_64", project=project) == template
    runs = project / ".aws-sam/x86_64/runs"
    assert runs.read_text() == "built\n"
    assert "Architecture=x86_64" in template.read_text()
    (project / "template.yaml").write_text("Resources: {a: b}\n")
    build("x86_64", project=project)
    assert runs.read_text() == "built\nbuilt\n"


def test_a_failed_build_is_retried_and_a_missing_tool_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SAM", fake_sam(tmp_path, "echo no such wheel >&2; exit 1"))
    for _ in range(2):
        with pytest.raises(BuildFailedError, match="x86_64 failed:\nno such wheel"):
            build("x86_64", project=project)
    monkeypatch.setattr(build_module, "SAM", tmp_path / "bin/sam")
    with pytest.raises(ToolMissingError, match="make setup"):
        build("x86_64", project=project)
