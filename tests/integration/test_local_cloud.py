"""The local cloud, its build and its processes, as far as they go without a deployment."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orderwatch_local.cloud import sam as build_module
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.processes import GuardedProcess, clean_environment
from orderwatch_local.cloud.sam import build, source_digest
from orderwatch_local.errors import BuildFailedError, PortInUseError, StartFailedError, ToolMissingError

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


def connected_command(port: int) -> list[str]:
    return [sys.executable, "-c", CONNECTED, CONNECTED, str(port), "parent"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


@contextmanager
def two_lines(listener: socket.socket) -> Iterator[list[socket.socket]]:
    """The connections of a child and of its own child."""
    with listener.accept()[0] as first, listener.accept()[0] as second:
        first.settimeout(20)
        second.settimeout(20)
        yield [first, second]


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


def test_bytecode_does_not_make_a_build_stale(project: Path) -> None:
    before = source_digest(project)
    (project / "functions/poll/__pycache__/app.cpython-313.pyc").write_bytes(b"new")
    assert source_digest(project) == before


@pytest.mark.parametrize("changed", ["template.yaml", "functions/poll/app.py", "layers/requirements.txt"])
def test_a_change_of_any_source_makes_a_build_stale(project: Path, changed: str) -> None:
    before = source_digest(project)
    with (project / changed).open("a") as file:
        file.write("# changed\n")
    assert source_digest(project) != before


def test_an_up_to_date_build_is_reused(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = fake_sam(tmp_path, 'mkdir -p build && echo built >> runs && echo "$*" > build/template.yaml')
    monkeypatch.setattr(build_module, "SAM", sam)
    template = build("x86_64", project=project)
    assert build("x86_64", project=project) == template
    runs = project / ".aws-sam/x86_64/runs"
    assert runs.read_text() == "built\n"
    assert "Architecture=x86_64" in template.read_text()
    (project / "template.yaml").write_text("Resources: {a: b}\n")
    build("x86_64", project=project)
    assert runs.read_text() == "built\nbuilt\n"


def test_a_failed_build_has_its_output_and_is_retried(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SAM", fake_sam(tmp_path, "echo no such wheel >&2; exit 1"))
    for _ in range(2):
        with pytest.raises(BuildFailedError, match="x86_64 failed:\nno such wheel"):
            build("x86_64", project=project)


def test_a_missing_tool_names_the_remedy(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "SAM", tmp_path / "bin/sam")
    with pytest.raises(ToolMissingError, match="make setup"):
        build("x86_64", project=project)


def test_a_child_knows_nothing_of_the_users_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("TRACKSTAR_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = clean_environment({"GATEWAY_PORT": "1"})
    assert environment.keys().isdisjoint({"AWS_PROFILE", "AWS_SESSION_TOKEN", "TRACKSTAR_API_KEY", "PYTHONPATH"})
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1"
    assert environment["GATEWAY_PORT"] == "1"


def test_closing_a_process_ends_its_children(listener: socket.socket, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = connected_command(listener.getsockname()[1])
    process = GuardedProcess(command, env=dict(os.environ), log=tmp_path / "log", scratch=scratch)
    with process, two_lines(listener) as lines:
        assert process.is_running
        process.close()
        assert [line.recv(1) for line in lines] == [b"", b""]
    assert not process.is_running
    assert not scratch.exists()


def test_a_killed_parent_leaves_no_process_and_no_file(listener: socket.socket, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = [str(tmp_path / "log"), str(scratch), *connected_command(listener.getsockname()[1])]
    with subprocess.Popen([sys.executable, "-c", OWNER, *arguments]) as owner, two_lines(listener) as lines:
        owner.kill()
        assert [line.recv(1) for line in lines] == [b"", b""]
    assert not scratch.exists()


def test_ctrl_c_does_not_reach_the_emulator(listener: socket.socket, tmp_path: Path) -> None:
    command = connected_command(listener.getsockname()[1])
    process = GuardedProcess(command, env=dict(os.environ), log=tmp_path / "log")
    with process, two_lines(listener):
        assert os.getsid(process.group) != os.getsid(0)


def test_the_cloud_ignores_the_users_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "one-that-does-not-exist")
    with LocalCloud() as cloud:
        cloud.put_secret("/orderwatch/trackstar/api-key", "a")
        cloud.put_secret("/orderwatch/trackstar/api-key", "b")
        parameter = cloud.client("ssm").get_parameter(Name="/orderwatch/trackstar/api-key", WithDecryption=True)
    assert (parameter["Parameter"]["Value"], parameter["Parameter"]["Type"]) == ("b", "SecureString")


def test_a_subscribed_queue_gets_raw_messages() -> None:
    with LocalCloud() as cloud:
        topic_arn = cloud.client("sns").create_topic(Name="alerts")["TopicArn"]
        everything = cloud.subscribe_queue(topic_arn)
        critical = cloud.subscribe_queue(topic_arn, filter_policy={"severity": ["critical"]})
        for severity in ("critical", "info"):
            cloud.client("sns").publish(
                TopicArn=topic_arn,
                Message=severity,
                MessageAttributes={"severity": {"DataType": "String", "StringValue": severity}},
            )
        bodies = {
            url: [
                message["Body"]
                for message in cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
            ]
            for url in (everything, critical)
        }
    assert sorted(bodies[everything]) == ["critical", "info"]
    assert bodies[critical] == ["critical"]


def test_two_clouds_are_separate_and_a_closed_one_is_gone() -> None:
    with LocalCloud() as first, LocalCloud() as second:
        assert first.endpoint != second.endpoint
        second.put_secret("/only/in/second", "x")
        assert first.client("ssm").get_parameters(Names=["/only/in/second"])["Parameters"] == []
    address = first.endpoint.removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((address[0], int(address[1]))) != 0
    first.close()


def test_a_port_in_use_is_named(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(PortInUseError, match=f"port {port} "):
        LocalCloud(port=port).start()


def test_an_emulator_that_ends_is_an_error_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch_local.cloud.local_cloud._EMULATOR", fake_sam(tmp_path, "echo out of luck; exit 3"))
    with pytest.raises(StartFailedError, match="out of luck"):
        LocalCloud().start()


def test_an_interrupted_command_leaves_the_cloud_stopped() -> None:
    code = "import sys, threading\nfrom orderwatch_local.cloud.local_cloud import LocalCloud\n"
    code += "with LocalCloud() as cloud:\n    print(cloud.endpoint, flush=True)\n    threading.Event().wait()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as command:
        assert command.stdout is not None
        host, port = command.stdout.readline().decode().strip().removeprefix("http://").split(":")
        command.send_signal(signal.SIGINT)
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0
