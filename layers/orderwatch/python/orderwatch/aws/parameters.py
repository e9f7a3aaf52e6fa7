"""The Parameter Store: the API key, and for each shop its access token and its name.

    <prefix>/trackstar/api-key                          SecureString
    <prefix>/connections/<connection_id>/access-token   SecureString
    <prefix>/connections/<connection_id>/name           String, optional: what alerts call the shop
    <prefix>/slack/webhook-url                          SecureString

Adding a shop is one `aws ssm put-parameter`; nothing is deployed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import SecretStr

from orderwatch.errors import ParameterMissingError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_AGE = 300
"""Seconds for which a value is kept in a warm function: a rotated token is taken up within five minutes."""
ACCESS_TOKEN = "access-token"  # noqa: S105 - the name of the parameter


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """What the operator has stored for a connection."""

    access_token: SecretStr
    name: str | None = None


class Parameters:
    """The parameters under one prefix.

    Args:
        client: SSM.
        prefix: Such as `/orderwatch`.
    """

    def __init__(self, client: "SSMClient", prefix: str) -> None:
        self._client = client
        self._ssm = SSMProvider(boto3_client=client)
        self._prefix = prefix.rstrip("/")

    def api_key(self) -> SecretStr:
        """The organisation's API key.

        Raises:
            ParameterMissingError: It is not in the Parameter Store.
        """
        return self._secret(f"{self._prefix}/trackstar/api-key")

    def slack_webhook_url(self) -> SecretStr:
        """Where Slack messages go.

        Raises:
            ParameterMissingError: It is not in the Parameter Store.
        """
        return self._secret(f"{self._prefix}/slack/webhook-url")

    def connection(self, connection_id: str) -> ConnectionParameters:
        """What the operator has stored for the connection.

        Raises:
            ParameterMissingError: There is no access token for this connection.
        """
        path = f"{self._prefix}/connections/{connection_id}"
        values = self._ssm.get_multiple(path, max_age=MAX_AGE, decrypt=True)
        token = values.get(ACCESS_TOKEN)
        if not token:
            raise ParameterMissingError(f"{path}/{ACCESS_TOKEN}")
        return ConnectionParameters(access_token=SecretStr(str(token)), name=str(values.get("name") or "") or None)

    def connection_ids(self) -> list[str]:
        """Every shop that has an access token, sorted; read without decrypting anything, and never from a cache."""
        values = self._ssm.get_multiple(f"{self._prefix}/connections", max_age=0, recursive=True, decrypt=False)
        return sorted(name.removesuffix(f"/{ACCESS_TOKEN}") for name in values if name.endswith(f"/{ACCESS_TOKEN}"))

    def forget(self) -> None:
        """Forget the cached values: after a refusal the next read sees a rotated secret at once."""
        self._ssm.clear_cache()  # type: ignore[no-untyped-call]

    def _secret(self, name: str) -> SecretStr:
        try:
            return SecretStr(str(self._ssm.get(name, max_age=MAX_AGE, decrypt=True)))
        except GetParameterError as error:
            if isinstance(error.__context__, self._client.exceptions.ParameterNotFound):
                raise ParameterMissingError(name) from None
            raise
