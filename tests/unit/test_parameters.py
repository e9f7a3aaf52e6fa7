"""The parameters of the stack and of each shop: what is secret, what is cached, and what is invalid (rule 13)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from orderwatch.aws.parameters import NamedConnection, Parameters
from orderwatch.aws.products import ProductClient
from orderwatch.errors import ParameterInvalidError, ParameterMissingError, UnauthorizedError
from orderwatch.shop_settings import ShopSettings
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import Shop, ShopTransport
from orderwatch_local.simulator.script import API_KEY
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


def test_a_secret_is_cached_for_five_minutes(
    ssm: MemorySsm, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frozen(datetime):
        """The clock by which the library expires its cache."""

        current = datetime(2026, 1, 5, 12)  # noqa: DTZ001 - the library's is naive

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return cls.current

    monkeypatch.setattr("aws_lambda_powertools.utilities.parameters.base.datetime", Frozen)
    began, old = Frozen.current, secrets(parameters)
    rotated = [f"{value}-rotated" for value in old]
    ssm.values |= dict(zip((API_KEY_NAME, WEBHOOK_NAME, TOKEN_NAME), rotated, strict=True))
    for seconds, expected in ((299.5, old), (300.5, rotated)):
        Frozen.current = began + timedelta(seconds=seconds)
        assert secrets(parameters) == expected


def test_cached_secrets_are_read_again_once_they_are_dropped(ssm: MemorySsm, parameters: Parameters) -> None:
    for _ in range(2):
        secrets(parameters)
    assert len(ssm.requests) == 3
    parameters.forget()
    secrets(parameters)
    assert len(ssm.requests) == 6


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


def test_shops_are_those_with_an_access_token(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values[f"{PREFIX}/connections/conn_c/name"] = "no token"
    ssm.values["/orderwatch-test/connections/conn_d/access-token"] = "another stack"
    assert parameters.connection_ids() == ["conn_a", "conn_b"]
    assert parameters.connections() == [
        NamedConnection("conn_a", None, ShopSettings()),
        NamedConnection("conn_b", "Nordic Outdoor", ShopSettings(time_zone="Asia/Tokyo", stuck_days=3)),
    ]
    assert ssm.decrypted == []
    assert ssm.requests == ["describe_parameters", "get_parameters_by_path"]


def test_a_new_shop_is_listed_at_once(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values.clear()
    assert parameters.connection_ids() == []
    ssm.values[TOKEN_NAME] = "token"
    assert parameters.connection_ids() == ["conn_a"]


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


def test_the_names_of_warehouses_come_from_the_settings_of_the_shop(ssm: MemorySsm, parameters: Parameters) -> None:
    ssm.values[f"{PREFIX}/connections/conn_b/settings"] = '{"warehouses": {"wh_1": "Hamburg"}}'
    client = ProductClient(parameters, Trackstar("https://trackstar.invalid"))
    assert [client.warehouse_settings(each) for each in ("conn_a", "conn_b")] == [{}, {"wh_1": "Hamburg"}]
    with pytest.raises(ParameterMissingError):
        client.warehouse_settings("conn_gone")
