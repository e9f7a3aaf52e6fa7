"""Lets the containers of `sam local invoke` reach this machine: where to listen, and a relay that serves them.

The local cloud and the simulated shop listen on 127.0.0.1, which containers cannot reach. The relay serves a request
only if it comes from a container's address and its path begins with this run's secret:

    http://ADDRESS:PORT/<secret>/<service>/...

The secret is in the path because every client sends the whole base URL. A request to the cloud is sent on with the
cloud's own credentials: those that SAM gives to a container may be the user's, and go no further than the relay.
"""

import hmac
import ipaddress
import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.cloud.processes import clean_environment, tail
from orderwatch_local.cloud.sam import SAM, require_tool
from orderwatch_local.errors import DockerMissingError, StartFailedError

HOST = "orderwatch.localhost"
"""What containers call this machine: samconfig.toml has its line in their hosts file."""
_ASK = Path(__file__).with_name("ask_docker.py")
_DOCKERS_SETTINGS = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


@dataclass(frozen=True)
class SimulatedShopUrl:
    """Where to listen so that containers can come in and nobody else.

    Attributes:
        address: An address of this machine.
        peers: Whoever comes from another address than these is no container.
    """

    address: str
    peers: ipaddress.IPv4Network


LOOPBACK = SimulatedShopUrl("127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8"))
"""Docker Desktop's: it hands on what its containers send to the host, as if it came from this machine."""


def find_doorway(environment: Mapping[str, str]) -> SimulatedShopUrl:
    """Ask Docker for the way from its containers to this machine.

    Args:
        environment: Ours, which says where the daemon is.

    Raises:
        ToolMissingError: There is no SAM CLI.
        DockerMissingError: No daemon answers, or its network is not one of this machine.
    """
    require_tool(SAM)
    settings = {name: environment[name] for name in _DOCKERS_SETTINGS if name in environment}
    asked = subprocess.run(  # noqa: S603 - the command is ours
        [SAM.with_name("python"), "-I", _ASK],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise DockerMissingError(
            f"`sam local invoke` needs Docker, and no daemon answers: {tail(asked.stderr, lines=1)}"
        )
    found = json.loads(asked.stdout)
    return read_doorway(found["system"], found["pools"], platform=sys.platform)


def read_doorway(system: str, pools: Sequence[Mapping[str, str]], *, platform: str) -> SimulatedShopUrl:
    """The doorway of what a daemon says of itself.

    Args:
        system: What it runs on.
        pools: Subnet, and mostly gateway, of its default network; it may have one of IPv6 too.
        platform: This machine's, as `sys.platform` has it.

    Raises:
        DockerMissingError: The daemon has no default network of IPv4.
    """
    # Everywhere but on Linux containers live in a virtual machine, as they do with Docker Desktop.
    if platform != "linux" or system == "Docker Desktop":
        return LOOPBACK
    for pool in pools:
        subnet = ipaddress.ip_network(pool["Subnet"])
        if isinstance(subnet, ipaddress.IPv4Network):
            return SimulatedShopUrl(pool.get("Gateway") or str(subnet[1]), subnet)
    raise DockerMissingError("Docker has no network `bridge`: start its daemon without --bridge=none")


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
