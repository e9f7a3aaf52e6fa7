"""Two ways to call the simulated vendor: a server on a loopback port, and a transport for an HTTP client."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

import httpx

from orderwatch_local.errors import PortInUseError
from orderwatch_local.simulator.exchange import Request, Response, Vendor

HOST = "127.0.0.1"
_BACKLOG = 128
_STOP_CHECK_SECONDS = 0.01


class ShopServer:
    """A running server; leave its `with` block, or call `close`, to stop it and close its connections."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._thread = Thread(
            target=server.serve_forever, kwargs={"poll_interval": _STOP_CHECK_SECONDS}, name="simulated shop"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop listening, close all connections and wait for the thread."""
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(vendor: Vendor, *, port: int = 0) -> ShopServer:
    """Serve a vendor on 127.0.0.1 from threads of this process.

    Args:
        vendor: Answers the requests.
        port: 0 takes a free one.

    Raises:
        PortInUseError: The port is in use.
    """
    try:
        return ShopServer(_Server(vendor, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} of {HOST} is in use: stop the process that listens there, or choose another port"
            ) from None
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

    def close_connections(self) -> None:
        """Close the kept-alive connections, whose threads would otherwise block on their clients."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection, and show every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write for each response: header and body in two small packets would be delayed by Nagle's algorithm.
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
        """Log nothing: `Trackstar.requests` is the log."""


class ShopTransport(httpx.BaseTransport):
    """Sends every request to a vendor in this process, whatever its host: no sockets, no threads.

    A dropped or cut response raises the same error as a real connection.

    Args:
        vendor: Answers the requests.
    """

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request.

        Raises:
            httpx.RemoteProtocolError: The response is dropped or cut.
        """
        body = request.read()
        response = self._vendor.handle(
            Request.of(request.method, request.url.raw_path.decode("ascii"), request.headers.items(), body)
        )
        if response.drop:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        if response.cut_at is not None:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete body", request=request)
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        return httpx.Response(response.status, headers=headers, stream=httpx.ByteStream(response.body))
