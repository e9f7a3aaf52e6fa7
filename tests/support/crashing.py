"""Processes that crash before a chosen outgoing call, which is also after the one before it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient


class Killed(BaseException):
    """The process ended here; the product cannot catch it."""


class CrashingProcess:
    """Counts the outgoing calls of a process, and crashes it before one of them.

    Args:
        crashes_at: Number of the call, from 1; None: it never crashes.

    Attributes:
        calls: Calls so far.
        is_crashed: Whether it crashed.
    """

    def __init__(self, crashes_at: int | None = None) -> None:
        self._crashes_at = crashes_at
        self.calls = 0
        self.is_crashed = False

    def call[T](self, send: Callable[[], T]) -> T:
        """Make one outgoing call.

        Raises:
            Killed: The process crashes before it.
        """
        self.calls += 1
        if self.calls == self._crashes_at:
            self.is_crashed = True
            raise Killed
        return send()

    def dynamodb(self, client: object) -> "DynamoDBClient":
        return cast("DynamoDBClient", _Crashing(client, self))

    def sns(self, client: object) -> "SNSClient":
        return cast("SNSClient", _Crashing(client, self))

    def transport(self, transport: httpx.BaseTransport) -> httpx.BaseTransport:
        return _CrashingTransport(transport, self)


class _Crashing:
    """A client each of whose requests may crash the process."""

    def __init__(self, client: object, process: CrashingProcess) -> None:
        self._client, self._process = client, process

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name == "exceptions":
            return real
        if name == "get_paginator":
            return lambda operation: _Crashing(real(operation), self._process)
        return lambda **request: self._process.call(lambda: real(**request))


class _CrashingTransport(httpx.BaseTransport):
    def __init__(self, transport: httpx.BaseTransport, process: CrashingProcess) -> None:
        self._transport, self._process = transport, process

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._process.call(lambda: self._transport.handle_request(request))
