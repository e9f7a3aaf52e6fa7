"""A way to a function's URL on the local cloud: a client of the vendor has no secret that its guard would let in."""

from typing import Self
from urllib.parse import urlsplit

import httpx

from orderwatch_local.shop import Request, Response

_OF_ONE_HOP = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_ANSWERS_WITHIN = 30.0
"""Seconds, the function's own limit."""


class SimulatedShopUrl:
    """Hands each request on to the function's URL, which the emulator serves below a path of its own.

    `orderwatch_local.shop.serve` puts it on a loopback port. Leave its `with` block to close its connections.

    Args:
        endpoint_url: The local cloud.
        secret: What its guard asks for.
        function_url: As AWS would name it.
    """

    def __init__(self, endpoint_url: str, secret: str, function_url: str) -> None:
        url_id = (urlsplit(function_url).hostname or "").partition(".")[0]
        self._base = f"{endpoint_url}/_aws/lambda-url/{url_id}"
        # No proxy of the user's: this goes from loopback to loopback.
        self._client = httpx.Client(headers={"X-Amz-Security-Token": secret}, timeout=_ANSWERS_WITHIN, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def handle(self, request: Request) -> Response:
        """Answer one request as the function does."""
        answer = self._client.request(
            request.method,
            f"{self._base}{request.path}",
            params=list(request.query),
            headers={name: value for name, value in request.headers.items() if name not in _OF_ONE_HOP},
            content=request.body,
        )
        headers = tuple((name, value) for name, value in answer.headers.items() if name not in _OF_ONE_HOP)
        return Response(answer.status_code, headers, answer.content)
