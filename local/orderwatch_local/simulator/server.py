"""The ways to reach the simulated vendor: a server on a loopback port, and a transport of an HTTP client."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

from orderwatch_local.errors import PortInUseError
from orderwatch_local.simulator.api import Trackstar
from orderwatch_local.simulator.exchange import Request, Response

HOST = "127.0.0.1"
_BACKLOG = 128
_STOPS_WITHIN = 0.01


class Vendor(Protocol):
    """What answers requests; from many threads at once."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""


class ShopServer:
    """A running server; leave its `with` block, or call `close`, to stop it and its connections."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._thread = Thread(
            target=server.serve_forever, kwargs={"poll_interval": _STOPS_WITHIN}, name="simulated shop"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stops listening, hangs up on everyone, and returns when the listening thread has ended."""
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(vendor: Vendor, *, port: int = 0) -> ShopServer:
    """Serves the simulated vendor on 127.0.0.1 from threads of this process.

    Args:
        vendor: What answers.
        port: 0 for a free one.

    Raises:
        PortInUseError: When the port is taken.
    """
    try:
        return ShopServer(_Server(vendor, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(f"port {port} of {HOST} is in use: stop what listens there or name another") from None
        raise


class _Server(ThreadingHTTPServer):
    request_queue_size = _BACKLOG
    daemon_threads = True

    def __init__(self, vendor: Vendor, port: int) -> None:
        self.vendor = vendor
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()
        super().__init__((HOST, port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._open_lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends the kept-alive connections, whose threads would wait for their clients for ever."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a fault of ours and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write an answer: a header and a body in two small packets would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(self.server.vendor.handle(Request.of(self.command, self.path, self.headers.items(), body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def _send(self, response: Response) -> None:
        self.close_connection = self.close_connection or response.drop or response.cut_at is not None
        if response.drop:
            return
        self.send_response_only(response.status)
        for name, value in (*response.headers, ("Content-Length", str(len(response.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[: response.cut_at])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Quiet: `Trackstar.requests` is the log."""


class ShopTransport(httpx.BaseTransport):
    """Sends every request straight to `Trackstar.handle`, whatever its host.

    A dropped or cut-off answer raises what a real connection would; so does an exception of `intercept`.

    Args:
        trackstar: The simulated vendor.
    """

    def __init__(self, trackstar: Trackstar) -> None:
        self._trackstar = trackstar

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answers one request.

        Raises:
            httpx.RemoteProtocolError: When the simulated vendor hangs up before its answer is complete.
        """
        body = request.read()
        response = self._trackstar.handle(
            Request.of(request.method, request.url.raw_path.decode("ascii"), request.headers.items(), body)
        )
        if response.drop:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        if response.cut_at is not None:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete body", request=request)
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        return httpx.Response(response.status, headers=headers, stream=httpx.ByteStream(response.body))
