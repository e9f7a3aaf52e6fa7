"""orderwatch deployed on the local cloud and watching some shops, as the demo and `orderwatch up` use it."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from orderwatch.alerts.alert import Alert
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.records import ConnectionState
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.errors import FunctionFailedError

PREFIX = "/orderwatch"

type Step = Callable[[str], AbstractContextManager[object]]
"""Shows that a step is running until its block ends."""


@dataclass(frozen=True)
class WatchedShop:
    """A shop to watch.

    Attributes:
        connection_id: Trackstar's id of the connection.
        access_token: The connection's secret.
        name: The name in alerts.
        settings: The shop's settings, as JSON.
    """

    connection_id: str
    access_token: SecretStr
    name: str | None = None
    settings: str | None = None


def token_variable(connection_id: str) -> str:
    """The environment variable that holds the access token of one connection."""
    return f"TRACKSTAR_ACCESS_TOKEN_{connection_id}"


class Watch:
    """A deployed orderwatch.

    Args:
        cloud: The cloud that it is deployed on.
        outputs: The outputs of the stack.
        shops: The watched shops.
    """

    def __init__(self, cloud: LocalCloud, outputs: Outputs, shops: Sequence[WatchedShop]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.shops = shops
        self._lambda = cloud.client("lambda")
        self._connections = ConnectionTable(cloud.client("dynamodb"), outputs.connection_table_name)

    def poll_now(self, connection_ids: Collection[str] = ()) -> None:
        """Request a poll of these shops (default: all), whether anything changed or not.

        Raises:
            FunctionFailedError: dispatch_polls failed; the end of its log is in the message.
        """
        event = {"connection_ids": list(connection_ids) or [shop.connection_id for shop in self.shops]}
        self._invoke(self.outputs.dispatch_polls_function_name, event)

    def summarize(self, *, send: bool, at: datetime | None = None) -> Alert:
        """Return a summary of the orders that need attention, as the morning schedule makes it.

        Args:
            send: Whether it is also sent to every subscriber.
            at: The date of the summary, if the shops' clock is not the machine's.

        Raises:
            FunctionFailedError: send_summary failed; the end of its log is in the message.
        """
        dated = {"at": at.isoformat()} if at else {}
        answer = self._invoke(self.outputs.send_summary_function_name, {"send": send} | dated)
        return Alert.model_validate(answer["alert"])

    def states(self) -> list[ConnectionState]:
        """The stored state of each shop."""
        ids = [shop.connection_id for shop in self.shops]
        stored = self._connections.load_all(ids)
        return [stored.get(each) or ConnectionState(connection_id=each) for each in ids]

    def _invoke(self, name: str, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        if answer.get("FunctionError"):
            raise FunctionFailedError(f"{name} failed:\n{self.cloud.logs(name, lines=10)}")
        returned: dict[str, Any] = json.loads(answer["Payload"].read())
        return returned


@contextmanager
def watching(
    shops: Sequence[WatchedShop],
    *,
    api_key: SecretStr,
    parameters: Mapping[str, str],
    step: Step,
    port: int = 0,
) -> Iterator[Watch]:
    """Deploy orderwatch on its own local cloud, with these shops connected, until the block ends.

    Args:
        shops: The shops to watch.
        api_key: The organisation's Trackstar key.
        parameters: Values of the template's parameters.
        step: Shows the steps that take long.
        port: The local cloud's port; 0 takes a free one.

    Raises:
        LocalCloudError: The cloud did not start, build or deploy.
    """
    with LocalCloud(port=port) as cloud:
        with step("build and deploy the template"):
            outputs = cloud.deploy(parameters)
        cloud.put_secret(f"{PREFIX}/trackstar/api-key", api_key.get_secret_value())
        for shop in shops:
            path = f"{PREFIX}/connections/{shop.connection_id}"
            cloud.put_secret(f"{path}/access-token", shop.access_token.get_secret_value())
            for name, value in (("name", shop.name), ("settings", shop.settings)):
                if value:
                    cloud.client("ssm").put_parameter(Name=f"{path}/{name}", Value=value, Type="String")
        yield Watch(cloud, outputs, shops)
