"""The guard's rule, request by request; what it means for the local cloud is tested with the emulator."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from orderwatch_local.cloud.guard import Guard, share_layers

SECRET = "secret-of-this-run"
HOST = (b"host", b"127.0.0.1:4566")
TOKEN = (b"x-amz-security-token", SECRET.encode())


def serve(headers: list[tuple[bytes, bytes]], *, kind: str = "http") -> tuple[bool, list[dict[str, Any]]]:
    """Whether the guarded application was reached, and what the guard sent."""
    reached: list[str] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a refused request's body is not read")

    guard = Guard(app, port=4566, secret=SECRET)
    asyncio.run(guard({"type": kind, "headers": headers}, receive, send))
    return bool(reached), sent


@pytest.mark.parametrize("host", [b"127.0.0.1:4566", b"localhost:4566"])
def test_a_request_with_the_secret_passes(host: bytes) -> None:
    assert serve([(b"host", host), TOKEN]) == (True, [])


@pytest.mark.parametrize(
    ("reason", "headers"),
    [
        ("no secret", [HOST]),
        ("another secret", [HOST, (b"x-amz-security-token", b"secret-of-that-run")]),
        ("a part of the secret", [HOST, (b"x-amz-security-token", SECRET[:-1].encode())]),
        ("no ASCII", [HOST, (b"x-amz-security-token", b"\xff")]),
        ("two secrets", [HOST, TOKEN, TOKEN]),
        ("no host", [TOKEN]),
        ("two hosts", [HOST, HOST, TOKEN]),
        ("a name that may be rebound", [(b"host", b"rebound.example:4566"), TOKEN]),
        ("the address as another's prefix", [(b"host", b"127.0.0.1:4566.evil.example"), TOKEN]),
        ("another port", [(b"host", b"127.0.0.1:4567"), TOKEN]),
        ("a foreign origin", [HOST, TOKEN, (b"origin", b"https://evil.example")]),
        ("a page of this machine", [HOST, TOKEN, (b"Origin", b"http://127.0.0.1:4566")]),
        ("a sandboxed page", [HOST, TOKEN, (b"origin", b"null")]),
    ],
)
def test_any_other_request_is_refused_unread(reason: str, headers: list[tuple[bytes, bytes]]) -> None:
    reached, [start, body] = serve(headers)
    assert not reached
    assert start["status"] == 403
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control")]
    assert SECRET.encode() not in body["body"]


def test_no_websocket_is_opened() -> None:
    assert serve([HOST, TOKEN], kind="websocket") == (False, [{"type": "websocket.close"}])


def test_a_guard_without_a_secret_does_not_start() -> None:
    with pytest.raises(ValueError, match="secret"):
        Guard(lambda *_: asyncio.sleep(0), port=4566, secret="")


@pytest.fixture
def unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Unpacks an archive of one file, as the emulator does for a function."""
    monkeypatch.setattr(ZipFile, "extractall", ZipFile.extractall)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    share_layers()

    def unpack(target: str, content: str) -> Path:
        folder = tmp_path / target
        folder.mkdir(parents=True)
        archive = folder.with_suffix(".zip")
        with ZipFile(archive, "w") as file:
            file.writestr("python/module.py", content)
        with ZipFile(archive) as file:
            file.extractall(folder)
        assert (folder / "python/module.py").read_text() == content
        return folder.resolve()

    return unpack


def test_functions_share_the_files_of_a_layer_and_nothing_else(unpack: Callable[[str, str], Path]) -> None:
    layer = unpack("poll/layer_0", "same")
    assert unpack("publish/layer_0", "same") == layer
    assert unpack("publish/layer_1", "other") != layer
    assert unpack("poll/code", "same").name == "code"
