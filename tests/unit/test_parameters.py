"""The parameters of the stack and of each shop: what is secret, what is cached, and what is invalid (rule 13)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.aws.parameters import ConnectionParameters, Credentials, NamedConnection, Parameters
from orderwatch.aws.products import ProductClient
from orderwatch.errors import NotConnectedError, ParameterInvalidError, ParameterMissingError, UnauthorizedError
from orderwatch.shop_settings import ShopSettings
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import Shop, ShopTransport
from orderwatch_local.simulator.script import API_KEY
from tests.support.clocks import FakeClock
from tests.support.memory_ssm import MemorySsm
from tests.support.world import World

PREFIX = "/orderwatch"
API_KEY_NAME, WEBHOOK_NAME = f"{PREFIX}/trackstar/api-key", f"{PREFIX}/slack/webhook-url"
TOKEN_NAME = f"{PREFIX}/connections/conn_a/access-token"


@pytest.fixture
def ssm() -> MemorySsm:
    """The secrets of a stack with Slack and two shops, the second with a name and settings."""
    values = {
        "trackstar/api-key": "secret-key",
        "slack/webhook-url": "https://hooks.example/secret",
        "connections/conn_b/access-token": "secret-token-b",
        "connections/conn_b/name": "Nordic Outdoor",
        "connections/conn_b/settings": '{"time_zone": "Asia/Tokyo", "stuck_days": 3}',
        "connections/conn_a/access-token": "secret-token-a",
    }
    return MemorySsm({f"{PREFIX}/{name}": value for name, value in values.items()})


@pytest.fixture
def parameters(ssm: MemorySsm) -> Parameters:
    return Parameters(ssm.as_client(), f"{PREFIX}/")


def secrets(parameters: Parameters) -> list[str]:
    found = [parameters.api_key(), parameters.slack_webhook_url(), parameters.connection("conn_a").access_token]
    return [secret.get_secret_value() for secret in found]


def test_secrets_are_decrypted_and_hidden_from_repr(parameters: Parameters) -> None:
    assert secrets(parameters) == ["secret-key", "https://hooks.example/secret", "secret-token-a"]
    shown = [parameters, parameters.api_key(), parameters.slack_webhook_url(), parameters.connection("conn_b")]
    assert "secret" not in f"{shown!r} {shown[-1]}".replace("SecretStr", "")


def test_name_and_settings_of_a_shop_are_optional(parameters: Parameters) -> None:
    bare, full = parameters.connection("conn_a"), parameters.connection("conn_b")
    assert (bare.name, bare.settings, bare.settings_flaw) == (None, ShopSettings(), None)
    assert (full.name, full.settings_flaw) == ("Nordic Outdoor", None)
    assert full.settings == ShopSettings(time_zone="Asia/Tokyo", stuck_days=3)


@pytest.mark.parametrize(("text", "flaw"), [("{", "no JSON object"), (" ", None)])
def test_invalid_settings_do_not_stop_a_shop(
    ssm: MemorySsm, parameters: Parameters, text: str, flaw: str | None
) -> None:
    ssm.values[f"{PREFIX}/connections/conn_b/settings"] = text
    shop = parameters.connection("conn_b")
    assert (shop.name, shop.settings, shop.settings_flaw) == ("Nordic Outdoor", ShopSettings(), flaw)
    assert parameters.connections()[1] == NamedConnection("conn_b", "Nordic Outdoor", ShopSettings())


@pytest.mark.parametrize(
    ("read", "name", "command"),
    [
        (Parameters.api_key, API_KEY_NAME, "connect-trackstar"),
        (Parameters.slack_webhook_url, WEBHOOK_NAME, "connect-slack"),
        (lambda parameters: parameters.connection("conn_a"), TOKEN_NAME, "connect conn_a"),
    ],
    ids=["API key", "webhook", "access token"],
)
def test_a_missing_parameter_is_reported_with_the_command(
    ssm: MemorySsm, parameters: Parameters, read: Callable[[Parameters], object], name: str, command: str
) -> None:
    del ssm.values[name]
    ssm.values[f"{PREFIX}/connections/conn_a/name"] = "Name"
    with pytest.raises(ParameterMissingError, match=f"{name} is missing: orderwatch {command}$") as caught:
        read(parameters)
    assert caught.value.name == name


def test_a_parameter_that_cannot_be_read_is_not_missing(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParameter")
    with pytest.raises(GetParameterError, match="AccessDenied"):
        parameters.api_key()


@pytest.fixture
def time() -> FakeClock:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


def test_a_token_is_decrypted_once_in_the_life_of_a_process(
    ssm: MemorySsm, parameters: Parameters, time: FakeClock
) -> None:
    for _ in range(100):
        time.seconds += 301
        assert parameters.credentials("conn_b") == Credentials(SecretStr("secret-key"), SecretStr("secret-token-b"))
    assert sorted(ssm.decrypted) == sorted([API_KEY_NAME, TOKEN_NAME.replace("conn_a", "conn_b")])


@pytest.mark.parametrize(("after", "is_used"), [(299, False), (300, True)])
def test_other_parameters_and_a_rotated_token_are_used_after_five_minutes(
    ssm: MemorySsm, parameters: Parameters, time: FakeClock, after: int, is_used: bool
) -> None:
    before = parameters.connection("conn_b")
    path = f"{PREFIX}/connections/conn_b"
    ssm.values |= {f"{path}/name": "Alpine", f"{path}/settings": "{}", f"{path}/access-token": "secret-rotated"}
    time.seconds += after
    rotated = ConnectionParameters(SecretStr("secret-rotated"), "Alpine", ShopSettings())
    assert parameters.connection("conn_b") == (rotated if is_used else before)


def test_a_shop_that_was_disconnected_has_no_token(ssm: MemorySsm, parameters: Parameters, time: FakeClock) -> None:
    parameters.connection("conn_a")
    del ssm.values[TOKEN_NAME]
    time.seconds += 300
    for _ in range(2):
        with pytest.raises(NotConnectedError, match="connect conn_a"):
            parameters.connection("conn_a")


def test_known_values_are_used_while_the_parameter_store_throttles(
    ssm: MemorySsm, parameters: Parameters, time: FakeClock
) -> None:
    known = parameters.connection("conn_b")
    time.seconds += 300
    ssm.error = ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, "GetParametersByPath")
    assert parameters.connection("conn_b") == known
    with pytest.raises(ClientError, match="Throttling"):
        parameters.connection("conn_a")
    ssm.error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "GetParametersByPath")
    with pytest.raises(ClientError, match="AccessDenied"):
        parameters.connection("conn_b")


def test_a_webhook_is_read_again_after_five_minutes(
    ssm: MemorySsm, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frozen(datetime):
        """The clock by which the library expires its cache."""

        current = datetime(2026, 1, 5, 12)  # noqa: DTZ001 - the library's is naive

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return cls.current

    monkeypatch.setattr("aws_lambda_powertools.utilities.parameters.base.datetime", Frozen)
    began, old = Frozen.current, parameters.slack_webhook_url().get_secret_value()
    ssm.values[WEBHOOK_NAME] = f"{old}-rotated"
    for seconds, expected in ((299.5, old), (300.5, f"{old}-rotated")):
        Frozen.current = began + timedelta(seconds=seconds)
        assert parameters.slack_webhook_url().get_secret_value() == expected, "the old channel may still accept posts"


def test_the_secrets_of_a_refused_request_are_read_again(ssm: MemorySsm, parameters: Parameters) -> None:
    for _ in range(2):
        secrets(parameters)
        parameters.connection("conn_b")
    assert len(ssm.decrypted) == 4
    parameters.forget("conn_a")
    secrets(parameters)
    parameters.connection("conn_b")
    assert len(ssm.decrypted) == 7, "the token of another shop is kept"


# The webhook


MISTYPED = {
    "quoted": '"https://hooks.slack.com/services/{}"',
    "a quote at its end": "https://hooks.slack.com/services/{}'",
    "in angle brackets": "<https://hooks.slack.com/services/{}>",
    "a space in it": "https://hooks.slack.com/services/ {}",
    "a line break in it": "https://hooks.slack.com/services/\n{}",
    "not encrypted": "http://hooks.slack.com/services/{}",
    "not quite this machine": "http://localhost.example.com/services/{}",
    "another name that ends like this machine": "http://evil-localhost/services/{}",
    "an empty label": "http://.localhost/services/{}",
    "no scheme": "hooks.slack.com/services/{}",
    "no host": "https:///services/{}",
    "no path": "https://{}",
    "a password": "https://me:{}@hooks.slack.com/services/T0",
    "a port that is none": "https://hooks.slack.com:port/services/{}",
    "letters beyond ASCII": "https://hooks.slack.com/services/\u201c{}",
}


@pytest.mark.parametrize("url", MISTYPED.values(), ids=MISTYPED)
def test_an_invalid_webhook_is_reported_without_its_value(ssm: MemorySsm, parameters: Parameters, url: str) -> None:
    ssm.values[WEBHOOK_NAME] = url.format("very-secret")
    with pytest.raises(ParameterInvalidError, match=f"{WEBHOOK_NAME} is not the https URL") as caught:
        parameters.slack_webhook_url()
    assert "very-secret" not in f"{caught.value!r} {caught.value}"
    ssm.values[WEBHOOK_NAME] = " https://hooks.example/T0\n"
    found = parameters.slack_webhook_url().get_secret_value()
    assert found == "https://hooks.example/T0", "the corrected URL is used at once, without blanks"


WORKFLOWS = [
    "https://hooks.slack.com/triggers/T0/1/very-secret",
    "https://hooks.slack.com/workflows/T0/A0/1/very-secret",
    "https://HOOKS.Slack.com:443/triggers/T0/1/very-secret",
    "https://hooks.slack-gov.com/triggers/T0/1/very-secret",
    "https://slack.com/shortcuts/Ft0/very-secret",
]


@pytest.mark.parametrize("url", WORKFLOWS)
def test_the_url_of_a_workflow_is_no_webhook(ssm: MemorySsm, parameters: Parameters, url: str) -> None:
    ssm.values[WEBHOOK_NAME] = url
    with pytest.raises(ParameterInvalidError, match="a Slack workflow, which takes variables, not messages") as caught:
        parameters.slack_webhook_url()
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        "https://hooks.slack-gov.com/services/T0/B0/x",
        "https://chat.example.com/hooks/x",
        "https://chat.example.com/triggers/x",
        "https://hooks.slack.com.example.com/triggers/x",
    ],
)
def test_webhooks_of_slack_and_of_compatible_services_are_valid(
    ssm: MemorySsm, parameters: Parameters, url: str
) -> None:
    ssm.values[WEBHOOK_NAME] = url
    assert parameters.slack_webhook_url().get_secret_value() == url


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "orderwatch.localhost:8080", "[::1]:8080"])
def test_a_webhook_on_this_machine_can_use_http(ssm: MemorySsm, parameters: Parameters, host: str) -> None:
    ssm.values[WEBHOOK_NAME] = f"http://{host}/services/T0"
    assert host in parameters.slack_webhook_url().get_secret_value()


# The shops


def all_ids(parameters: Parameters) -> list[str]:
    ids, token = parameters.connection_page(None)
    while token:
        more, token = parameters.connection_page(token)
        ids += more
    return ids


def test_shops_are_those_with_an_access_token(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values[f"{PREFIX}/connections/conn_c/name"] = "no token"
    ssm.values["/orderwatch-test/connections/conn_d/access-token"] = "another stack"
    assert all_ids(parameters) == ["conn_a", "conn_b"]
    assert parameters.connected(["conn_a", "conn_c", "conn_d"]) == ["conn_a"]
    assert parameters.connections() == [
        NamedConnection("conn_a", None, ShopSettings()),
        NamedConnection("conn_b", "Nordic Outdoor", ShopSettings(time_zone="Asia/Tokyo", stuck_days=3)),
    ]
    assert ssm.decrypted == []


def test_connections_are_looked_up_50_at_once(ssm: MemorySsm, parameters: Parameters) -> None:
    ids = [f"conn_{number:03}" for number in range(120)]
    ssm.values |= {f"{PREFIX}/connections/{each}/access-token": "token" for each in ids}
    assert sorted(parameters.connected(ids)) == ids
    assert ssm.requests == ["describe_parameters"] * 3


# The products of a shop


def test_products_are_read_with_the_secrets_of_the_shop(ssm: MemorySsm, parameters: Parameters) -> None:
    world = World()
    shop = Shop("conn_a", access_token="secret-token-a", clock=world.vendor_clock, products=[{"id": "1", "name": "A"}])
    world.trackstar.connect(shop)
    shop.sync()
    ssm.values[API_KEY_NAME] = API_KEY
    client = ProductClient(parameters, Trackstar("https://trackstar.invalid", transport=ShopTransport(world.trackstar)))
    found = client.products("conn_a", ["1", "2"], seconds_left=lambda: 60.0)
    assert {product_id: product.name for product_id, product in found.items()} == {"1": "A"}
    names = client.warehouses("conn_a", seconds_left=lambda: 60.0)
    assert names == {"wh-east": "Bethlehem (PA)", "wh-west": "Reno (NV)"}
    with pytest.raises(UnauthorizedError):
        client.products("conn_b", ["1"], seconds_left=lambda: 60.0)
    with pytest.raises(UnauthorizedError):
        client.warehouses("conn_b", seconds_left=lambda: 60.0)
    rotated = Shop("conn_a", access_token="rotated", clock=world.vendor_clock, products=[{"id": "1", "name": "A"}])
    world.trackstar.connect(rotated)
    rotated.sync()
    ssm.values[TOKEN_NAME] = "rotated"
    assert client.products("conn_a", ["1"], seconds_left=lambda: 60.0).keys() == {"1"}


def test_the_names_of_warehouses_come_from_the_settings_of_the_shop(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values[f"{PREFIX}/connections/conn_b/settings"] = '{"warehouses": {"wh_1": "Hamburg"}}'
    client = ProductClient(parameters, Trackstar("https://trackstar.invalid"))
    assert [client.warehouse_settings(each) for each in ("conn_a", "conn_b")] == [{}, {"wh_1": "Hamburg"}]
    with pytest.raises(ParameterMissingError):
        client.warehouse_settings("conn_gone")


ACTION_KEY_NAME = f"{PREFIX}/action-links/key"


def test_the_key_of_action_links_is_read_once_a_minute(ssm: MemorySsm, parameters: Parameters, time: FakeClock) -> None:
    """Whether it is there or not: anybody can ask for the page."""
    for value in (None, "k" * 43, "x" * 43, None):
        if value:
            ssm.values[ACTION_KEY_NAME] = value
        else:
            ssm.values.pop(ACTION_KEY_NAME, None)
        time.advance(timedelta(seconds=60))
        before = len(ssm.requests)
        for _ in range(3):
            assert parameters.action_key() == (SecretStr(value) if value else None)
        assert len(ssm.requests) == before + 1


def test_a_key_that_is_short_or_cannot_be_read_makes_no_links(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values[ACTION_KEY_NAME] = "short"
    assert parameters.action_key() is None
    ssm.error = ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "GetParameter")
    assert Parameters(ssm.as_client(), PREFIX).action_key() is None


def test_name_and_settings_of_a_shop_are_read_without_its_token(ssm: MemorySsm, parameters: Parameters) -> None:
    settings = ShopSettings(time_zone="Asia/Tokyo", stuck_days=3)
    assert parameters.shop("conn_b") == NamedConnection("conn_b", "Nordic Outdoor", settings)
    assert parameters.shop("conn_a") == NamedConnection("conn_a", None, ShopSettings())
    assert (ssm.requests, ssm.decrypted) == (["get_parameters"] * 2, [])
