"""The simulated vendor under an HTTP client in the same process: no sockets, no threads, no waiting."""

import httpx

from orderwatch_local.shop.api import Trackstar
from orderwatch_local.shop.exchange import Request


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
