"""The products of every connection, read with the secrets in the Parameter Store."""

from collections.abc import Callable, Mapping, Sequence

from orderwatch.aws.parameters import Parameters
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.products import Product


class ProductClient:
    """A `ProductSource` for every connection that has an access token."""

    def __init__(self, parameters: Parameters, trackstar: Trackstar) -> None:
        self._parameters = parameters
        self._trackstar = trackstar

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """The products that exist, by id.

        Raises:
            ParameterMissingError: The API key or the access token is not in the Parameter Store.
            TrackstarError: Trackstar did not respond as documented.
        """
        connection = self._trackstar.client_of(
            connection_id,
            api_key=self._parameters.api_key(),
            access_token=self._parameters.connection(connection_id).access_token,
            seconds_left=seconds_left,
        )
        return connection.products(product_ids)
