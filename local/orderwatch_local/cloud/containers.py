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
import shutil
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
from orderwatch_local.cloud.processes import clean_environment
from orderwatch_local.cloud.sam import SAM, require_tool
from orderwatch_local.errors import DockerMissingError, StartFailedError

HOST = "orderwatch.localhost"
"""The name of this machine in containers: samconfig.toml adds it to their hosts file."""
_ASK = Path(__file__).with_name("ask_docker.py")
_DOCKER_VARIABLES = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")

TIMEOUT_SECONDS = 60.0
"""For a response of a service."""
_HOP_BY_HOP_HEADERS = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
_CREDENTIAL = re.compile(r"Credential=[^/]+/(\d{8})/[^/]+/")


@dataclass(frozen=True)
class ContainerNetwork:
    """How the containers of this machine's Docker reach it.

    Attributes:
        address: The address to listen on.
        peers: The addresses that containers have.
    """

    address: str
    peers: ipaddress.IPv4Network


LOOPBACK = ContainerNetwork("127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8"))
"""Docker Desktop's: it forwards what containers send to the host, as if this machine had sent it."""


def find_container_network(environment: Mapping[str, str]) -> ContainerNetwork:
    """Ask Docker how its containers reach this machine.

    Args:
        environment: This process's environment, which names the daemon.

    Raises:
        ToolMissingError: SAM CLI is not installed.
        DockerMissingError: No daemon answers, or it has no IPv4 default network.
    """
    require_tool(SAM)
    settings = {name: environment[name] for name in _DOCKER_VARIABLES if name in environment}
    asked = subprocess.run(  # noqa: S603 - the arguments are constants
        [SAM.with_name("python"), "-I", _ASK],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise DockerMissingError(f"`sam local invoke` needs Docker: {why_no_daemon(environment, asked.stderr)}")
    found = json.loads(asked.stdout)
    return container_network_of(found["system"], found["pools"], platform=sys.platform)


def why_no_daemon(environment: Mapping[str, str], error: str) -> str:
    """Say why no Docker daemon answers, and what to do; `error` is the output of the attempt."""
    if host := environment.get("DOCKER_HOST"):
        return f"no daemon answers at DOCKER_HOST={host}; `docker info` shows why"
    if shutil.which("docker", path=environment.get("PATH")) is None:
        return "it is not installed; install Docker and start its daemon"
    if "PermissionError" in error:
        return "this user may not use its daemon; add the user to the group docker"
    return "its daemon does not answer; start it (`docker info` shows why)"


def container_network_of(system: str, pools: Sequence[Mapping[str, str]], *, platform: str) -> ContainerNetwork:
    """Return the network of a daemon.

    Args:
        system: The operating system that the daemon reports.
        pools: The subnets of its default network, mostly with a gateway; one may be IPv6.
        platform: The value of `sys.platform`.

    Raises:
        DockerMissingError: The daemon has no IPv4 default network.
    """
    # Outside Linux, and with Docker Desktop, containers run in a virtual machine.
    if platform != "linux" or system == "Docker Desktop":
        return LOOPBACK
    for pool in pools:
        subnet = ipaddress.ip_network(pool["Subnet"])
        if isinstance(subnet, ipaddress.IPv4Network):
            return ContainerNetwork(pool.get("Gateway") or str(subnet[1]), subnet)
    raise DockerMissingError("Docker has no network `bridge`: start its daemon without --bridge=none")


@dataclass(frozen=True)
class RelayRequest:
    """A request of a container, without the secret.

    Attributes:
        method: Such as `POST`.
        path: With the query, from the slash after the service's name on.
        headers: Without the hop-by-hop headers.
        body: As sent.
    """

    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class RelayResponse:
    """The response of a service."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


type Service = Callable[[RelayRequest], RelayResponse]


class Relay:
    """Serves containers until its `with` block ends.

    Args:
        network: Where to listen, and which peers to serve.
        services: By the name in the path.

    Raises:
        StartFailedError: The address does not belong to this machine.
    """

    def __init__(self, network: ContainerNetwork, services: Mapping[str, Service]) -> None:
        self._secret = secrets.token_urlsafe(32)
        try:
            self._server = _Server(network, self._secret, services)
        except OSError as error:
            remedy = "is the Docker daemon on this machine, and not rootless?"
            raise StartFailedError(f"cannot listen on {network.address} ({error.strerror}): {remedy}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="relay")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, service: str, *, host: str | None = None) -> str:
        """Return a service's base URL for containers; it holds the secret.

        Args:
            service: The name of the service.
            host: The name of this machine; None: `HOST`.
        """
        return f"http://{host or HOST}:{self._server.server_address[1]}/{self._secret}/{service}"


def forward(base_url: str) -> Service:
    """Return a service that forwards requests to an http URL of this machine."""
    address = urlsplit(base_url)

    def serve(request: RelayRequest) -> RelayResponse:
        connection = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(request.method, f"{address.path}{request.path}", request.body, dict(request.headers))
            response = connection.getresponse()
            return RelayResponse(response.status, _kept(response.getheaders()), response.read())
        except (OSError, HTTPException) as error:
            return RelayResponse(HTTPStatus.BAD_GATEWAY, body=f"no response ({type(error).__name__})".encode())
        finally:
            connection.close()

    return serve


def forward_to_cloud(endpoint: str, session_token: str) -> Service:
    """Return a service that forwards requests to the local cloud, with its own secret and region."""
    serve = forward(endpoint)

    def sign(request: RelayRequest) -> RelayResponse:
        headers = [(name, value) for name, value in request.headers if name.lower() != "x-amz-security-token"]
        own = [(name, _CREDENTIAL.sub(rf"Credential=test/\1/{LOCAL_REGION}/", value)) for name, value in headers]
        headers = [*own, ("X-Amz-Security-Token", session_token)]
        return serve(RelayRequest(request.method, request.path, headers, request.body))

    return sign


def _kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP_HEADERS]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, network: ContainerNetwork, secret: str, services: Mapping[str, Service]) -> None:
        self._peers = network.peers
        self._secret = secret.encode()
        self._services = services
        super().__init__((network.address, 0), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Accept containers only; another host gets no response."""
        del request
        return ipaddress.ip_address(client_address[0]) in self._peers

    def service_of(self, target: str) -> tuple[Service, str] | None:
        """Return the service that a target names, and the path there; None without the secret."""
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
            self.close_connection = True  # the body is not read
            self._send(RelayResponse(HTTPStatus.FORBIDDEN))
            return
        service, path = found
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(service(RelayRequest(self.command, path, _kept(self.headers.items()), body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def _send(self, response: RelayResponse) -> None:
        self.send_response_only(response.status)
        for name, value in (*response.headers, ("Content-Length", str(len(response.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: a target holds the secret."""
