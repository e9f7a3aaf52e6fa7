"""The Parameter Store: the API key, the Slack webhook, and the access token, name and settings of each connection.

    <prefix>/trackstar/api-key                          SecureString
    <prefix>/connections/<connection_id>/access-token   SecureString
    <prefix>/connections/<connection_id>/name           String, optional: the name of the shop in alerts
    <prefix>/connections/<connection_id>/settings       String, optional: the settings of the shop, JSON
    <prefix>/slack/webhook-url                          SecureString
    <prefix>/action-links/key                           SecureString, optional: signs the links in messages

To add a shop, put its access token there; no deployment is needed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.action_links import ActionLinks
from orderwatch.aws import clients
from orderwatch.aws.dynamodb import is_throttled
from orderwatch.errors import NotConnectedError, ParameterInvalidError, ParameterMissingError
from orderwatch.observability import logger
from orderwatch.shop_settings import ShopSettings, ShopSettingsError, read_shop_settings

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import DescribeParametersResultTypeDef, ParameterTypeDef

MAX_AGE = 300
"""Seconds after which a warm function looks again at the parameters of a connection and at the webhook."""
ACTION_KEY_AGE = 60
"""Seconds for which a process uses the key of action links, and for which it believes that there is none."""
PROCESS_LIFETIME = 30 * 86_400
"""Seconds; longer than any process of Lambda lives."""
ACCESS_TOKEN = "access-token"  # noqa: S105 - the name of the parameter
NAME = "name"
SETTINGS = "settings"
ACTION_KEY = "action-links/key"
MIN_ACTION_KEY = 32
"""Minimum characters of the key of action links. `orderwatch action-links` makes 43, of 256 bits."""
_WEBHOOK_URL = re.compile(
    r"(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|([a-z0-9-]+\.)*localhost|\[::1\]))(:[0-9]{1,5})?/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+"
)
"""Any host, since other services accept Slack's format; no credentials; http only on this machine."""
_WORKFLOW_URL = re.compile(
    r"https://(hooks\.)?slack(-gov)?\.com(:[0-9]+)?/(triggers|workflows|shortcuts)/", re.IGNORECASE
)
_LARGEST_PAGE = 50
"""The maximum of DescribeParameters. In a large account AWS also returns pages without a match."""


def webhook_flaw(url: str) -> str | None:
    """Why this is no URL of an incoming webhook, without its value; None if it can be one.

    It must be https with a path, without quotes, brackets or spaces, and not start a Slack workflow.
    """
    if not _WEBHOOK_URL.fullmatch(url):
        return "is not the https URL of a webhook"
    if _WORKFLOW_URL.match(url):
        return "is the URL of a Slack workflow, which takes variables, not messages; create an incoming webhook"
    return None


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """The parameters of a connection.

    Attributes:
        access_token: The connection's token.
        name: The name of the shop in alerts.
        settings: The settings of the shop; empty if they are invalid.
        settings_flaw: Why the settings are invalid; None if they are valid.
    """

    access_token: SecretStr
    name: str | None = None
    settings: ShopSettings = field(default_factory=ShopSettings)
    settings_flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What Trackstar asks for when a connection is read."""

    api_key: SecretStr
    access_token: SecretStr


@dataclass(frozen=True, slots=True)
class _Read:
    """The parameters of a connection, the version of its token, and when they were read (monotonic seconds)."""

    parameters: ConnectionParameters
    version: int
    at: float


@dataclass(frozen=True, slots=True)
class NamedConnection:
    """A connection that has an access token, with its parameters that are not secret (as in `ConnectionParameters`)."""

    connection_id: str
    name: str | None
    settings: ShopSettings


@dataclass(frozen=True, slots=True)
class _ActionKey:
    """The key of action links, None if there is none, and when it was read (monotonic seconds)."""

    key: SecretStr | None
    at: float


class Parameters:
    """The parameters under one prefix, such as `/orderwatch`.

    Each decryption is a request to KMS, so a process decrypts the API key and each token once, and again after `forget`
    or if the Parameter Store has another version of the token. Names, settings and versions are read without it.
    """

    def __init__(self, client: "SSMClient", prefix: str) -> None:
        self._client = client
        self._ssm = SSMProvider(boto3_client=client)
        self._prefix = prefix.rstrip("/")
        self._read: dict[str, _Read] = {}
        self._action_key: _ActionKey | None = None

    def api_key(self) -> SecretStr:
        """The API key of the organisation.

        Raises:
            ParameterMissingError: It is not in the Parameter Store.
        """
        return self._secret(f"{self._prefix}/trackstar/api-key", max_age=PROCESS_LIFETIME)

    def slack_webhook_url(self) -> SecretStr:
        """The URL of the Slack webhook, without surrounding spaces.

        Raises:
            ParameterMissingError: It is not in the Parameter Store.
            ParameterInvalidError: It is not the URL of a webhook (`webhook_flaw`).
        """
        name = f"{self._prefix}/slack/webhook-url"
        url = self._secret(name, max_age=MAX_AGE).get_secret_value().strip()  # an older one may still work
        if flaw := webhook_flaw(url):
            self.forget()
            raise ParameterInvalidError(name, flaw)
        return SecretStr(url)

    def action_key(self) -> SecretStr | None:
        """The key of action links, at most `ACTION_KEY_AGE` old; None: there is none, or it cannot be read.

        A request is made once in that time whatever it returned: an alert must not fail because of its link, and a
        flood of requests to the public page must not become one to the Parameter Store.
        """
        known = self._action_key
        if known is None or clock.monotonic() - known.at >= ACTION_KEY_AGE:
            known = self._action_key = _ActionKey(self._read_action_key(), clock.monotonic())
        return known.key

    def _read_action_key(self) -> SecretStr | None:
        try:
            key = self._secret(f"{self._prefix}/{ACTION_KEY}", max_age=0)
        except ParameterMissingError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever fails, the alert is sent without its link (rule 11)
            logger.error("key of action links cannot be read; messages have no links", exc_info=error)
            return None
        if len(key.get_secret_value()) >= MIN_ACTION_KEY:
            return key
        logger.error("key of action links is too short; run: orderwatch action-links rotate")
        return None

    def shop(self, connection_id: str) -> NamedConnection:
        """The name and the settings of a connection, not cached, without its token."""
        path = f"{self._prefix}/connections/{connection_id}"
        found = self._client.get_parameters(Names=[f"{path}/{NAME}", f"{path}/{SETTINGS}"])["Parameters"]
        values = {each["Name"].rpartition("/")[2]: each["Value"] for each in found}
        return NamedConnection(connection_id, values.get(NAME), _shop_settings(values.get(SETTINGS, ""))[0])

    def credentials(self, connection_id: str) -> Credentials:
        """The API key, and the access token of a connection.

        Raises:
            ParameterMissingError: One of them is not in the Parameter Store.
        """
        return Credentials(self.api_key(), self.connection(connection_id).access_token)

    def rotated(self, connection_id: str, used: Credentials) -> Credentials | None:
        """The current credentials after Trackstar refused these; None if they are the same.

        Raises:
            ParameterMissingError: One of them is not in the Parameter Store.
        """
        self.forget(connection_id)
        current = self.credentials(connection_id)
        return current if current != used else None

    def connection(self, connection_id: str) -> ConnectionParameters:
        """The parameters of a connection, at most `MAX_AGE` old, or older while the Parameter Store throttles.

        Raises:
            NotConnectedError: The connection has no access token.
        """
        known = self._read.get(connection_id)
        if known and clock.monotonic() - known.at < MAX_AGE:
            return known.parameters
        try:
            read = self._read_again(connection_id, known) if known else self._read_all(connection_id)
        except ClientError as error:
            if known is None or not is_throttled(error):
                raise
            logger.warning("Parameter Store throttles requests; using the last values", exc_info=error)
            return known.parameters
        self._read[connection_id] = read
        return read.parameters

    def _read_again(self, connection_id: str, known: _Read) -> _Read:
        """Read without decryption; decrypt the token only if it is another one."""
        found = self._found(connection_id, decrypt=False)
        if found[ACCESS_TOKEN]["Version"] != known.version:
            return self._read_all(connection_id)
        return _read(found, known.parameters.access_token)

    def _read_all(self, connection_id: str) -> _Read:
        found = self._found(connection_id, decrypt=True)
        return _read(found, SecretStr(found[ACCESS_TOKEN]["Value"]))

    def _found(self, connection_id: str, *, decrypt: bool) -> dict[str, "ParameterTypeDef"]:
        """The parameters of a connection by the last part of their name, with an access token."""
        path = f"{self._prefix}/connections/{connection_id}"
        pages = self._client.get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=decrypt)
        found = {each["Name"].rpartition("/")[2]: each for page in pages for each in page["Parameters"]}
        if ACCESS_TOKEN not in found:
            self._read.pop(connection_id, None)
            raise NotConnectedError(f"{path}/{ACCESS_TOKEN}")
        return found

    def connection_page(self, page_token: str | None) -> tuple[list[str], str | None]:
        """One page of the ids of connections with an access token, and the token of the next page, not cached.

        Needs no permission to read values. AWS throttles it at about one request a second for the whole account.
        """
        path = f"{self._prefix}/connections"
        position: Any = {"NextToken": page_token} if page_token else {}
        page = self._client.describe_parameters(
            ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [path]}],
            MaxResults=_LARGEST_PAGE,
            **position,
        )
        return self._connection_ids(page), page.get("NextToken")

    def connected(self, connection_ids: Iterable[str]) -> list[str]:
        """Those of these connections that have an access token, not cached, 50 a request."""
        path = f"{self._prefix}/connections"
        names = [f"{path}/{connection_id}/{ACCESS_TOKEN}" for connection_id in connection_ids]
        pages = (
            self._client.describe_parameters(
                ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": list(some)}], MaxResults=_LARGEST_PAGE
            )
            for some in batched(names, _LARGEST_PAGE, strict=False)
        )
        return [connection_id for page in pages for connection_id in self._connection_ids(page)]

    def _connection_ids(self, page: "DescribeParametersResultTypeDef") -> list[str]:
        path, token = f"{self._prefix}/connections/", f"/{ACCESS_TOKEN}"
        names = [parameter["Name"] for parameter in page["Parameters"]]
        return [name.removeprefix(path).removesuffix(token) for name in names if name.endswith(token)]

    def connections(self) -> list[NamedConnection]:
        """All connections with an access token, sorted by id, not cached. Decrypts no token."""
        path = f"{self._prefix}/connections"
        pages = self._client.get_paginator("get_parameters_by_path").paginate(
            Path=path, Recursive=True, WithDecryption=False
        )
        found: dict[str, dict[str, str]] = {}
        for parameter in (each for page in pages for each in page["Parameters"]):
            connection_id, _, name = parameter["Name"].removeprefix(f"{path}/").rpartition("/")
            found.setdefault(connection_id, {})[name] = parameter["Value"]
        return [
            NamedConnection(each, values.get("name") or None, _shop_settings(values.get(SETTINGS) or "")[0])
            for each, values in sorted(found.items())
            if ACCESS_TOKEN in values
        ]

    def forget(self, connection_id: str | None = None) -> None:
        """Drop the cached secrets of the stack, and of a connection, after a refused request: they may be rotated."""
        self._ssm.clear_cache()  # type: ignore[no-untyped-call]
        if connection_id:
            self._read.pop(connection_id, None)

    def _secret(self, name: str, *, max_age: int) -> SecretStr:
        try:
            return SecretStr(str(self._ssm.get(name, max_age=max_age, decrypt=True)))
        except GetParameterError as error:
            if isinstance(error.__context__, self._client.exceptions.ParameterNotFound):
                raise ParameterMissingError(name) from None
            raise


def action_links(url: str, prefix: str) -> ActionLinks | None:
    """Build what makes the links of messages; None without a URL, that is without ActionLinks."""
    return ActionLinks(url, Parameters(clients.ssm(tries=1), prefix).action_key) if url else None


def _read(found: Mapping[str, "ParameterTypeDef"], access_token: SecretStr) -> _Read:
    texts = {name: each["Value"] for name, each in found.items() if name != ACCESS_TOKEN}
    settings, flaw = _shop_settings(texts.get(SETTINGS, ""))
    parameters = ConnectionParameters(
        access_token=access_token, name=texts.get("name") or None, settings=settings, settings_flaw=flaw
    )
    return _Read(parameters, found[ACCESS_TOKEN]["Version"], clock.monotonic())


def _shop_settings(text: str) -> tuple[ShopSettings, str | None]:
    """The settings of a shop; if they are invalid, empty settings and why: they must not stop the polls of the shop."""
    try:
        return read_shop_settings(text) if text.strip() else ShopSettings(), None
    except ShopSettingsError as error:
        return ShopSettings(), str(error)
