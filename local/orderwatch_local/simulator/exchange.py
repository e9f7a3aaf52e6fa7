"""One HTTP exchange as plain values, so that the API can be called without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from orderwatch_local.simulator.records import Record

type Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived.

    Attributes:
        method: In capitals.
        path: As sent, still percent-encoded.
        query: Decoded pairs in the order sent, repeats and empty values kept.
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
        """Reads the target (path and query, or a whole URL) and the headers of a request line."""
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
    """An answer, and how its delivery fails where it should.

    Attributes:
        status: The HTTP status.
        headers: Name and value pairs; `Content-Length` is the server's business.
        body: The whole body.
        cut_at: Deliver only so many bytes of the body while promising all of them, then hang up.
        drop: Hang up without a byte.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    cut_at: int | None = None
    drop: bool = False

    def header(self, name: str) -> str | None:
        """The value of a header, its name in any case."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def with_missing(self, headers: Headers) -> Response:
        """The same answer with those headers that it does not have yet."""
        missing = tuple((name, value) for name, value in headers if self.header(name) is None)
        return replace(self, headers=self.headers + missing)

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class RefusedError(Exception):
    """A request that the API refuses: becomes the documented error body.

    Args:
        status: The HTTP status.
        error: The sentence for the caller.
        origin: Who refuses, `trackstar` or `integration`.
        headers: What goes with it.
    """

    def __init__(self, status: int, error: str, *, origin: str = "trackstar", headers: Headers = ()) -> None:
        super().__init__(f"{status}: {error}")
        self.response = json_response({"error": error, "origin": origin}, status=status, headers=headers)


def json_response(payload: Record, *, status: int = 200, headers: Headers = ()) -> Response:
    """An answer with a JSON body."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, (("Content-Type", "application/json"), *headers), body)
