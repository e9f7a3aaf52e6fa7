"""The products of every connection, asked for with the secrets that the Parameter Store has of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pydantic import SecretStr

from orderwatch.aws.parameters import Parameters
from orderwatch.trackstar.products import Product


class _Products(Protocol):
    def products(self, product_ids: Sequence[str], /) -> Mapping[str, Product]: ...


class _Trackstar(Protocol):
    def client_of(
        self, connection_id: str, *, api_key: SecretStr, access_token: SecretStr, seconds_left: Callable[[], float]
    ) -> _Products: ...


class ProductClient:
    """A `ProductSource` of every connection that has a token.

    Args:
        parameters: Where the secrets are.
        trackstar: The vendor's API.
    """

    def __init__(self, parameters: Parameters, trackstar: _Trackstar) -> None:
        self._parameters = parameters
        self._trackstar = trackstar

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """Return the products that exist, by id.

        Raises:
            ParameterMissingError: The key or the token is not in the Parameter Store.
            TrackstarError: The vendor did not answer as documented.
        """
        connection = self._trackstar.client_of(
            connection_id,
            api_key=self._parameters.api_key(),
            access_token=self._parameters.connection(connection_id).access_token,
            seconds_left=seconds_left,
        )
        return connection.products(product_ids)
