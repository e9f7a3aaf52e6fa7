"""The way in for containers: one address and port, and behind a secret the services of this run.

The local cloud and the simulated shop listen on 127.0.0.1, where no container comes. A request to the relay is served
only if it comes from a container's address and its path begins with this run's secret:

    http://ADDRESS:PORT/<secret>/<service>/...

The path carries it because that is the one thing of a base URL that every client sends. What goes to the cloud leaves
with the cloud's own credentials: the ones that SAM gives to a container may be the user's, and end here.
"""

import hmac
import ipaddress
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.containers import HOST, SimulatedShopUrl
from orderwatch_local.errors import StartFailedError

PATIENCE = 60.0
"""Seconds for an answer of a service."""
_OF_ONE_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
_CREDENTIAL = re.compile(r"Credential=[^/]+/(\d{8})/[^/]+/")


@dataclass(frozen=True)
class Asked:
    """A request of a container, without the secret.

    Attributes:
        method: Such as `POST`.
        path: With its query, from the slash after the service's name on.
        headers: Those that are not about the connection.
        body: As sent.
    """

    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answered:
    """What a service answers."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


type Service = Callable[[Asked], Answered]


class Relay:
    """Serves containers for as long as its `with` block lasts.

    Args:
        doorway: Where to listen, and who may come.
        services: By the name in the path.

    Raises:
        StartFailedError: The address is not one of this machine.
    """

    def __init__(self, doorway: SimulatedShopUrl, services: Mapping[str, Service]) -> None:
        self._secret = secrets.token_urlsafe(32)
        try:
            self._server = _Server(doorway, self._secret, services)
        except OSError as error:
            remedy = "is the Docker daemon on this machine, and not rootless?"
            raise StartFailedError(f"cannot listen on {doorway.address} ({error.strerror}): {remedy}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="relay")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, service: str, *, host: str | None = None) -> str:
        """A service's base URL, as containers have it; it holds the secret.

        Args:
            service: Which.
            host: What this machine is called; None: `HOST`.
        """
        return f"http://{host or HOST}:{self._server.server_address[1]}/{self._secret}/{service}"


def forward(base_url: str) -> Service:
    """A service at an http URL of this machine; what it answers goes back byte by byte."""
    address = urlsplit(base_url)

    def serve(asked: Asked) -> Answered:
        connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
        try:
            connection.request(asked.method, f"{address.path}{asked.path}", asked.body, dict(asked.headers))
            response = connection.getresponse()
            return Answered(response.status, _kept(response.getheaders()), response.read())
        except (OSError, HTTPException) as error:
            return Answered(HTTPStatus.BAD_GATEWAY, body=f"no answer ({type(error).__name__})".encode())
        finally:
            connection.close()

    return serve


def forward_to_cloud(endpoint: str, session_token: str) -> Service:
    """The local cloud, to which the request goes with its own secret and in its own region."""
    serve = forward(endpoint)

    def sign(asked: Asked) -> Answered:
        headers = [(name, value) for name, value in asked.headers if name.lower() != "x-amz-security-token"]
        own = [(name, _CREDENTIAL.sub(rf"Credential=test/\1/{LOCAL_REGION}/", value)) for name, value in headers]
        return serve(Asked(asked.method, asked.path, [*own, ("X-Amz-Security-Token", session_token)], asked.body))

    return sign


def _kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, doorway: SimulatedShopUrl, secret: str, services: Mapping[str, Service]) -> None:
        self._peers = doorway.peers
        self._secret = secret.encode()
        self._services = services
        super().__init__((doorway.address, 0), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Only containers: another host that found a way to this address gets no answer at all."""
        del request
        return ipaddress.ip_address(client_address[0]) in self._peers

    def service_of(self, target: str) -> tuple[Service, str] | None:
        """The service that a target names, and the path there; None without the secret."""
        _, secret, name, path = [*target.split("/", 3), "", "", ""][:4]
        service = self._services.get(name)
        if service is None or not hmac.compare_digest(secret.encode(), self._secret):
            return None
        return service, f"/{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def _answer(self) -> None:
        found = self.server.service_of(self.path)
        if found is None:
            self.close_connection = True  # what a stranger sends is not read
            self._send(Answered(HTTPStatus.FORBIDDEN))
            return
        service, path = found
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(service(Asked(self.command, path, _kept(self.headers.items()), body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def _send(self, answered: Answered) -> None:
        self.send_response_only(answered.status)
        for name, value in (*answered.headers, ("Content-Length", str(len(answered.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answered.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing: a target holds the secret."""
