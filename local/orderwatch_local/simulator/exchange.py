"""HTTP requests and responses as plain values, so that the API can be called without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from orderwatch_local.simulator.records import Record

type Headers = tuple[tuple[str, str], ...]


class Vendor(Protocol):
    """Answers requests, from several threads at once."""

    def handle(self, request: Request) -> Response:
        """Answer a request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived.

    Attributes:
        method: In capitals.
        path: As sent, percent-encoded.
        query: Decoded pairs in the order sent, with repeats and empty values.
        headers: By lower-case name; not in the repr, because they hold secrets.
        body: As sent.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """Parse the target (path and query, or a whole URL) and the headers of a request."""
        parts = urlsplit(target)
        return cls(
            method=method.upper(),
            path=parts.path,
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers},
            body=body,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """A response, and how its delivery fails if it is to fail.

    Attributes:
        status: The HTTP status.
        headers: Name and value pairs; the server adds `Content-Length`.
        body: The whole body.
        cut_at: Close the connection after this many bytes of the body, although `Content-Length` says all.
        drop: Close the connection without a response.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    cut_at: int | None = None
    drop: bool = False

    def header(self, name: str) -> str | None:
        """Return the value of a header; the case of its name does not matter."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def with_missing(self, headers: Headers) -> Response:
        """Return the response with those of the headers that it does not have."""
        missing = tuple((name, value) for name, value in headers if self.header(name) is None)
        return replace(self, headers=self.headers + missing)

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


class RefusedError(Exception):
    """A refusal of a request, with the documented error body.

    Args:
        status: The HTTP status.
        error: The message for the caller.
        origin: Who refuses, `trackstar` or `integration`.
        headers: Additional headers.
    """

    def __init__(self, status: int, error: str, *, origin: str = "trackstar", headers: Headers = ()) -> None:
        super().__init__(f"{status}: {error}")
        self.response = json_response({"error": error, "origin": origin}, status=status, headers=headers)


def json_response(payload: Record, *, status: int = 200, headers: Headers = ()) -> Response:
    """Return a response with a JSON body."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, (("Content-Type", "application/json"), *headers), body)
