"""The products and warehouses of every connection, read with the secrets in the Parameter Store."""

from collections.abc import Callable, Mapping, Sequence

from orderwatch.aws import clients
from orderwatch.aws.parameters import Credentials, Parameters
from orderwatch.errors import ForbiddenError, UnauthorizedError
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.products import Product


class ProductClient:
    """A `ProductSource` and a `WarehouseSource` for every connection that has an access token.

    A rotated secret is used after the first refusal. Every method raises a `ParameterMissingError` if the API key or
    the access token is not in the Parameter Store, and a `TrackstarError` if Trackstar did not respond as documented.
    """

    def __init__(self, parameters: Parameters, trackstar: Trackstar) -> None:
        self._parameters = parameters
        self._trackstar = trackstar

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """The products that exist, by id."""
        return self._ask(connection_id, seconds_left, lambda client: client.products(product_ids))

    def warehouse_settings(self, connection_id: str) -> Mapping[str, str]:
        """The names of warehouses in the shop's settings, by id."""
        return self._parameters.connection(connection_id).settings.warehouses or {}

    def warehouses(self, connection_id: str, *, seconds_left: Callable[[], float]) -> Mapping[str, str]:
        """Trackstar's names of the warehouses, by id."""
        return self._ask(connection_id, seconds_left, lambda client: client.warehouses())

    def _ask[T](self, connection_id: str, seconds_left: Callable[[], float], ask: Callable[[ConnectionClient], T]) -> T:
        used = self._parameters.credentials(connection_id)
        try:
            return ask(self._client_of(connection_id, used, seconds_left))
        except (UnauthorizedError, ForbiddenError):
            if (current := self._parameters.rotated(connection_id, used)) is None:
                raise
            return ask(self._client_of(connection_id, current, seconds_left))

    def _client_of(
        self, connection_id: str, credentials: Credentials, seconds_left: Callable[[], float]
    ) -> ConnectionClient:
        return self._trackstar.client_of(
            connection_id,
            api_key=credentials.api_key,
            access_token=credentials.access_token,
            seconds_left=seconds_left,
        )


def product_details(prefix: str, trackstar: Trackstar) -> ProductDetails:
    """The product details of every connection; call it once a process.

    Args:
        prefix: The path of the stack's parameters.
        trackstar: Trackstar's API.
    """
    source = ProductClient(Parameters(clients.ssm(), prefix), trackstar)
    return ProductDetails(source, warehouses=source)
