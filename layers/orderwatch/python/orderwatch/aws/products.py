"""The products of every connection, read with the secrets in the Parameter Store."""

from collections.abc import Callable, Mapping, Sequence

from orderwatch.aws.parameters import Credentials, Parameters
from orderwatch.errors import ForbiddenError, UnauthorizedError
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
        """The products that exist, by id. A rotated secret is used after the first refusal.

        Raises:
            ParameterMissingError: The API key or the access token is not in the Parameter Store.
            TrackstarError: Trackstar did not respond as documented.
        """
        used = self._parameters.credentials(connection_id)
        try:
            return self._read(connection_id, used, product_ids, seconds_left)
        except (UnauthorizedError, ForbiddenError):
            self._parameters.forget(connection_id)
            if (current := self._parameters.credentials(connection_id)) == used:
                raise
            return self._read(connection_id, current, product_ids, seconds_left)

    def _read(
        self,
        connection_id: str,
        credentials: Credentials,
        product_ids: Sequence[str],
        seconds_left: Callable[[], float],
    ) -> Mapping[str, Product]:
        connection = self._trackstar.client_of(
            connection_id,
            api_key=credentials.api_key,
            access_token=credentials.access_token,
            seconds_left=seconds_left,
        )
        return connection.products(product_ids)
