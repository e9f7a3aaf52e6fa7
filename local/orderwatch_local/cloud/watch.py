"""orderwatch on the local cloud, watching some shops: what the demo and `orderwatch up` share."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from orderwatch.alerts.alert import Alert
from orderwatch.aws.tables import ConnectionTable
from orderwatch.polling.cursor import ConnectionState
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.errors import FunctionFailedError

PREFIX = "/orderwatch"

type Step = Callable[[str], AbstractContextManager[object]]
"""Shows that a step goes on, for as long as the block lasts."""


@dataclass(frozen=True)
class WatchedShop:
    """A shop to watch.

    Attributes:
        connection_id: Trackstar's id of the connection.
        access_token: The connection's secret.
        name: What alerts call it.
        settings: Its own settings, JSON.
    """

    connection_id: str
    access_token: SecretStr
    name: str | None = None
    settings: str | None = None


class Watch:
    """A deployed orderwatch.

    Args:
        cloud: Where it is deployed.
        outputs: What the deployment names.
        shops: What it watches.
    """

    def __init__(self, cloud: LocalCloud, outputs: Outputs, shops: Sequence[WatchedShop]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.shops = shops
        self._lambda = cloud.client("lambda")
        self._connections = ConnectionTable(cloud.client("dynamodb"), outputs.connection_table_name)

    def poll_now(self, connection_ids: Collection[str] = ()) -> None:
        """Ask for a poll of these shops; without one of every shop, whether anything moved or not.

        Raises:
            FunctionFailedError: dispatch_polls failed; its log's end is in the message.
        """
        event = {"connection_ids": list(connection_ids) or [shop.connection_id for shop in self.shops]}
        self._invoke(self.outputs.dispatch_polls_function_name, event)

    def sum_up(self, *, send: bool) -> Alert:
        """A summary of what waits, as the schedule makes it in the morning.

        Args:
            send: Whether every subscriber gets it.

        Raises:
            FunctionFailedError: send_summary failed; its log's end is in the message.
        """
        answer = self._invoke(self.outputs.send_summary_function_name, {"send": send})
        return Alert.model_validate(answer["alert"])

    def _invoke(self, name: str, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        if answer.get("FunctionError"):
            raise FunctionFailedError(f"{name} failed:\n{self.cloud.logs(name, lines=10)}")
        returned: dict[str, Any] = json.loads(answer["Payload"].read())
        return returned

    def states(self) -> list[ConnectionState]:
        """How far each shop was read."""
        return [self._connections.load(shop.connection_id) for shop in self.shops]


@contextmanager
def watching(
    shops: Sequence[WatchedShop],
    *,
    api_key: SecretStr,
    parameters: Mapping[str, str],
    step: Step,
    port: int = 0,
) -> Iterator[Watch]:
    """Deploy orderwatch on a local cloud of its own, with these shops connected, until the block ends.

    Args:
        shops: What to watch.
        api_key: Trackstar's key of the organisation.
        parameters: Values of the template's parameters.
        step: How to show what takes long.
        port: The local cloud's port; 0 takes a free one.

    Raises:
        LocalCloudError: It did not start, build or deploy.
    """
    with LocalCloud(port=port) as cloud:
        with step("build and deploy the template"):
            outputs = cloud.deploy(parameters)
        cloud.put_secret(f"{PREFIX}/trackstar/api-key", api_key.get_secret_value())
        for shop in shops:
            path = f"{PREFIX}/connections/{shop.connection_id}"
            cloud.put_secret(f"{path}/access-token", shop.access_token.get_secret_value())
            for what, value in (("name", shop.name), ("settings", shop.settings)):
                if value:
                    cloud.client("ssm").put_parameter(Name=f"{path}/{what}", Value=value, Type="String")
        yield Watch(cloud, outputs, shops)
