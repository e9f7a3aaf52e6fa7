"""What `orderwatch up` and `shop` check before they start anything, against the simulated vendor over real sockets."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from orderwatch_cli.main import run
from orderwatch_cli.shop_check import Flaw, UnusableShopError
from orderwatch_local import commands
from orderwatch_local.cloud.watch import WatchedShop
from orderwatch_local.simulator import Request as ApiRequest
from orderwatch_local.simulator import Response, Shop, Trackstar, VirtualClock, json_response, serve
from orderwatch_local.up.checks import Request, check, unknown_status_warnings
from tests.support.clocks import NOON


@pytest.fixture
def trackstar() -> Trackstar:
    clock = VirtualClock(NOON)
    shops = [Shop(name, access_token=f"token-of-{name}", clock=clock) for name in ("conn_a", "conn_b")]
    return Trackstar("key", shops, clock)


@pytest.fixture
def url(trackstar: Trackstar) -> Iterator[str]:
    with serve(trackstar) as server:
        yield server.url


def request(url: str, **tokens: str) -> Request:
    shops = [WatchedShop(connection_id, SecretStr(token)) for connection_id, token in tokens.items()]
    return Request(url, SecretStr("key"), shops, schedule="rate(1 minute)", statuses="exception")


def refusal(url: str, **tokens: str) -> UnusableShopError:
    with pytest.raises(UnusableShopError) as caught:
        check(request(url, **tokens))
    assert caught.value.flaw is Flaw.ACCESS_TOKEN
    assert not any(token in str(caught.value) for token in tokens.values())
    return caught.value


def test_each_connection_with_its_own_token_is_found(url: str) -> None:
    found = check(request(url, conn_a="token-of-conn_a", conn_b="token-of-conn_b"))
    assert [connection.connection_id for connection in found] == ["conn_a", "conn_b"]


def test_a_repeated_token_is_refused_without_a_request(url: str, trackstar: Trackstar) -> None:
    error = str(refusal(url, conn_a="token-of-conn_a", conn_b="token-of-conn_a"))
    assert "conn_a and conn_b have the same access token" in error
    assert "TRACKSTAR_ACCESS_TOKEN_conn_a and TRACKSTAR_ACCESS_TOKEN_conn_b" in error
    assert trackstar.requests == []


def test_a_token_of_another_connection_is_refused(url: str) -> None:
    assert str(refusal(url, conn_b="token-of-conn_a")) == (
        "the access token of conn_b belongs to conn_a: set TRACKSTAR_ACCESS_TOKEN_conn_b"
    )


@pytest.mark.parametrize(
    "answer",
    [
        json_response({"error": "not here"}, status=403),
        json_response({"error": "later"}, status=503),
        json_response({"syncing": True}),
        json_response({"id": "a-job-and-no-connection", "syncing": True}),
        json_response({"id": 7}),
        Response(200, (), b"not json"),
        Response(200, drop=True),
    ],
    ids=lambda answer: f"{answer.status} {answer.body.decode()}",
)
def test_a_token_is_accepted_if_the_api_names_no_owner(url: str, trackstar: Trackstar, answer: Response) -> None:
    def intercept(asked: ApiRequest) -> Response | None:
        return answer if asked.method == "POST" else None

    trackstar.intercept = intercept
    assert check(request(url, conn_b="token-of-conn_b"))


@pytest.mark.parametrize(
    ("statuses", "says"),
    [
        ("exception,backordered,cancelled", []),
        ("exception, backorderd", ["Trackstar documents no status backorderd: did you mean backordered?"]),
        ("on_hold", ["Trackstar documents no status on_hold: there are no alerts on it unless a shop uses it"]),
    ],
)
def test_an_undocumented_status_gets_a_warning(statuses: str, says: list[str]) -> None:
    assert unknown_status_warnings(statuses) == says


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"TRACKSTAR_API_KEY": "wrong"}, "TRACKSTAR_API_KEY"),
        ({"TRACKSTAR_ACCESS_TOKEN": "wrong"}, "TRACKSTAR_ACCESS_TOKEN_conn_a"),
        ({"connection": "conn_gone"}, "has no connection conn_gone"),
        ({"TRACKSTAR_API_KEY": ""}, "no API key: set TRACKSTAR_API_KEY"),
        ({"TRACKSTAR_ACCESS_TOKEN": ""}, "set TRACKSTAR_ACCESS_TOKEN_conn_a or TRACKSTAR_ACCESS_TOKEN"),
        ({"url": "http://127.0.0.1:9"}, "check --trackstar-url"),
    ],
)
def test_wrong_secret_connection_or_url_is_one_line_that_names_it(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], says: str
) -> None:
    typed = {"TRACKSTAR_API_KEY": "key", "TRACKSTAR_ACCESS_TOKEN": "token-of-conn_a", **changed}
    for name, value in typed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        run(["up", "--trackstar-url", typed.get("url", url), "--connection", typed.get("connection", "conn_a")])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (1, "", 1)
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--demo", "--schedule", "every minute"), "'every minute' is no schedule such as rate(2 minutes)"),
        (("--demo", "--schedule", "rate(0 minutes)"), "is no schedule"),
        (("--demo", "--schedule", "rate(2 weeks)"), "is no schedule"),
        (("--demo", "--schedule", "cron(* * * * *)"), "is no schedule"),
        (("--demo", "--schedule", "cron(0 8 * * MON-FRI *)"), "is no schedule"),
        (("--demo", "--connection", "conn_a"), "leave out --connection"),
        ((), "name a connection with --connection, or use --demo"),
    ],
)
def test_wrong_options_are_an_error_before_anything_starts(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run(["up", *arguments])
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert says in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    "schedule", ["rate(1 minute)", "rate(12 hours)", "cron(0/5 8-18 ? * MON-FRI *)", "cron(0 8 1 * ? *)"]
)
def test_schedules_of_aws_are_accepted(schedule: str) -> None:
    assert commands._schedule(schedule) == schedule


def test_port_in_use_is_one_line_that_names_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(urlsplit(url).port)
    with pytest.raises(SystemExit) as left:
        run(["shop", "--port", port])
    err = capsys.readouterr().err
    assert (left.value.code, err.count("\n")) == (1, 1)
    assert f"port {port}" in err
