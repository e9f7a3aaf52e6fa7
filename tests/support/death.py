"""Processes that die at any of their outgoing calls, before it or after it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient


class Killed(BaseException):
    """The process ended here: nothing of ours catches it."""


class Lifeline:
    """Counts the outgoing calls of a process, and ends it at some of them.

    Args:
        deaths: Numbers of calls, from 1, and whether the process still lives to see the call done.

    Attributes:
        calls: Calls so far.
        died: How often it ended the process.
    """

    def __init__(self, *deaths: tuple[int, bool]) -> None:
        self._deaths = dict(deaths)
        self.calls = 0
        self.died = 0

    def call[T](self, send: Callable[[], T]) -> T:
        """Make one outgoing call.

        Raises:
            Killed: Before or after it, where the process is to end.
        """
        self.calls += 1
        after = self._deaths.get(self.calls)
        if after is False:
            self._die()
        answer = send()
        if after is True:
            self._die()
        return answer

    def _die(self) -> None:
        self.died += 1
        raise Killed

    def dynamodb(self, client: object) -> "DynamoDBClient":
        return cast("DynamoDBClient", _Mortal(client, self))

    def sns(self, client: object) -> "SNSClient":
        return cast("SNSClient", _Mortal(client, self))

    def transport(self, transport: httpx.BaseTransport) -> httpx.BaseTransport:
        return _MortalTransport(transport, self)


class _Mortal:
    """A client each of whose requests goes through the lifeline."""

    def __init__(self, client: object, lifeline: Lifeline) -> None:
        self._client, self._lifeline = client, lifeline

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name == "exceptions":
            return real
        if name == "get_paginator":
            return lambda operation: _Mortal(real(operation), self._lifeline)
        return lambda **request: self._lifeline.call(lambda: real(**request))


class _MortalTransport(httpx.BaseTransport):
    def __init__(self, transport: httpx.BaseTransport, lifeline: Lifeline) -> None:
        self._transport, self._lifeline = transport, lifeline

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._lifeline.call(lambda: self._transport.handle_request(request))
