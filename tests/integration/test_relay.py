"""The relay for containers serves only this run, by address and by secret."""

import http.client
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any
from urllib.parse import urlsplit

import pytest

from orderwatch_local.cloud.containers import (
    LOOPBACK,
    ContainerNetwork,
    Relay,
    RelayRequest,
    RelayResponse,
    forward,
    forward_to_cloud,
)
from orderwatch_local.errors import StartFailedError
from orderwatch_local.simulator import Shop, SystemClock, Trackstar, serve


class Echo:
    """A service that records its requests."""

    def __init__(self) -> None:
        self.asked: list[RelayRequest] = []

    def __call__(self, asked: RelayRequest) -> RelayResponse:
        self.asked.append(asked)
        return RelayResponse(200, [("X-Served", "yes")], b"served")


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def relay(echo: Echo) -> Iterator[Relay]:
    with Relay(LOOPBACK, {"echo": echo}) as running:
        yield running


def ask(url: str, *, method: str = "POST", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        target = f"{address.path}?{address.query}" if address.query else address.path
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def at_home(relay: Relay, service: str) -> str:
    """The URL as this machine, which is no container, reaches it."""
    return relay.url(service, host="127.0.0.1")


def test_the_service_gets_the_request_without_the_secret(relay: Relay, echo: Echo) -> None:
    assert ask(f"{at_home(relay, 'echo')}/cart/orders?limit=1", body=b"{}") == (200, b"served")
    [asked] = echo.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/cart/orders?limit=1", b"{}")


def test_a_request_without_the_whole_secret_is_refused(relay: Relay, echo: Echo) -> None:
    _, _, address, secret, _ = at_home(relay, "echo").split("/")
    wrong = {"no secret": "/echo/cart/orders", "another secret": "/c2VjcmV0LW9mLXRoYXQtcnVu/echo", "empty": "//echo"}
    wrong |= {"nothing": "/", "no ASCII": "/%C3%A9/echo", "a part": f"/{secret[:-1]}/echo", "service": f"/{secret}/aws"}
    answers = {reason: ask(f"http://{address}{path}", body=b"{}") for reason, path in wrong.items()}
    assert answers == dict.fromkeys(wrong, (403, b""))
    assert echo.asked == []


def test_a_host_that_is_no_container_gets_no_response(echo: Echo) -> None:
    containers = ContainerNetwork("127.0.0.1", IPv4Network("172.17.0.0/16"))
    with Relay(containers, {"echo": echo}) as relay, pytest.raises((http.client.HTTPException, OSError)):
        ask(at_home(relay, "echo"))
    assert echo.asked == []


def test_an_address_of_another_machine_is_an_error(echo: Echo) -> None:
    with pytest.raises(StartFailedError, match="rootless"):
        Relay(ContainerNetwork("192.0.2.1", IPv4Network("192.0.2.0/24")), {"echo": echo})


def test_the_secret_is_in_no_repr_and_no_log(relay: Relay, echo: Echo, capfd: pytest.CaptureFixture[str]) -> None:
    ask(at_home(relay, "echo"), Authorization="very-secret")
    secret = at_home(relay, "echo").split("/")[3]
    shown = "".join([repr(echo.asked), *capfd.readouterr()])
    assert secret not in shown
    assert "very-secret" not in shown


def test_a_users_credentials_are_not_forwarded(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch_local.cloud.containers.forward", lambda _: echo)
    sent: list[tuple[str, str]] = [
        ("X-Amz-Security-Token", "token-of-the-user"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAUSER/20260302/eu-central-1/ssm/aws4_request, Signature=00"),
    ]
    forward_to_cloud("http://127.0.0.1:1", "secret-of-this-run")(RelayRequest("POST", "/", sent, b""))
    assert echo.asked[0].headers == [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260302/us-east-1/ssm/aws4_request, Signature=00"),
        ("X-Amz-Security-Token", "secret-of-this-run"),
    ]


def test_the_shop_still_needs_its_api_key() -> None:
    trackstar = Trackstar("key", [Shop("conn_a", access_token="token", clock=SystemClock())], SystemClock())
    with serve(trackstar) as server, Relay(LOOPBACK, {"trackstar": forward(server.url)}) as relay:
        secrets: dict[str, Any] = {"x-trackstar-api-key": "key", "x-trackstar-access-token": "token"}
        url = f"{at_home(relay, 'trackstar')}/cart/orders?limit=1"
        assert ask(url, method="GET", **secrets) == ask(f"{server.url}/cart/orders?limit=1", method="GET", **secrets)
        assert ask(url, method="GET")[0] == 401


def test_a_service_that_is_gone_is_a_502(capfd: pytest.CaptureFixture[str]) -> None:
    with Relay(LOOPBACK, {"gone": forward("http://127.0.0.1:1")}) as relay:
        assert ask(at_home(relay, "gone")) == (502, b"no response (ConnectionRefusedError)")
    assert "Traceback" not in capfd.readouterr().err
