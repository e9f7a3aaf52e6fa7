"""Runs the emulator behind a guard, so that it serves only the run that started it.

The emulator alone answers every process of this machine, and every web page that finds its port. The guard admits a
request only with the secret of this run, which is the session token of the AWS credentials: every AWS SDK sends it, and
the emulator passes it to the functions. Requests with another host or any origin are refused too.

The emulator's interpreter runs this file as a program, so it must not import orderwatch. Its environment:
    GATEWAY_PORT       the loopback port
    AWS_SESSION_TOKEN  the secret
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import resource
import tempfile
import threading
import zipfile
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75
"""Longer than the pauses between a function's requests, so that its connections stay open."""

GRACE_SECONDS = 0.2
"""For requests in progress at the end; without a limit, the server would wait for every kept-alive connection."""

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Message, Receive, Send], Awaitable[None]]

_REFUSAL = (
    b"<ErrorResponse><Error><Code>AccessDenied</Code>"
    b"<Message>this local cloud serves only the user and the run that started it</Message>"
    b"</Error></ErrorResponse>"
)
_REFUSAL_HEADERS = [
    (b"content-type", b"text/xml"),
    (b"content-length", str(len(_REFUSAL)).encode()),
    (b"x-amzn-errortype", b"AccessDenied"),
    (b"connection", b"close"),
]


class Guard:
    """An ASGI application that admits requests with the secret and answers 403 to all others.

    Args:
        app: The guarded application.
        port: The loopback port that it is served on.
        secret: The secret that every request must have.
    """

    def __init__(self, app: App, *, port: int, secret: str) -> None:
        if not secret:
            raise ValueError("the guard needs a secret")
        self._app = app
        self._hosts = [f"{name}:{port}".encode() for name in (LOOPBACK, "localhost")]
        self._secret = secret.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._admits(scope["headers"])):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": _REFUSAL_HEADERS})
            await send({"type": "http.response.body", "body": _REFUSAL})

    def _admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        sent: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            sent.setdefault(name.lower(), []).append(value)
        secret = sent.get(b"x-amz-security-token", [])
        return (
            len(secret) == 1
            and hmac.compare_digest(secret[0], self._secret)
            and sent.get(b"host") in [[host] for host in self._hosts]
            and b"origin" not in sent
        )


def share_layers() -> None:
    """Let the emulator unpack a layer once. It unpacks it for every function, which takes most of a cold start."""
    unpack = zipfile.ZipFile.extractall
    unpacked: dict[str, str] = {}
    lock = threading.Lock()

    def extract_all(archive: zipfile.ZipFile, path: str, *more: Any) -> None:
        target = Path(path)
        if not target.name.startswith("layer_"):
            unpack(archive, path, *more)
            return
        digest = hashlib.sha256(Path(str(archive.filename)).read_bytes()).hexdigest()
        with lock:
            if digest not in unpacked:
                folder = tempfile.mkdtemp(prefix="layer-")
                unpack(archive, folder)
                unpacked[digest] = folder
        target.rmdir()
        target.symlink_to(unpacked[digest])

    zipfile.ZipFile.extractall = extract_all  # type: ignore[method-assign, assignment]


def main() -> None:
    """Serve until SIGTERM."""
    share_layers()
    # These are installed in the emulator's environment only.
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415

    # Each running function and each of its connections takes some; the usual 256 or 1,024 are too few in a storm.
    with contextlib.suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = int(os.environ["GATEWAY_PORT"])
    config = Config()
    config.bind = [f"{LOOPBACK}:{port}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = GRACE_SECONDS
    asyncio.run(serve(Guard(app, port=port, secret=os.environ["AWS_SESSION_TOKEN"]), config))


if __name__ == "__main__":
    main()
