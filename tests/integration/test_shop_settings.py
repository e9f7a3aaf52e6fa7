"""A shop's own settings at work: its time zone is in each alert, and unreadable settings are alerted once."""

import boto3
import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from tests.support.account import account, order
from tests.support.world import World, kinds

FLAW = "time_zone: no time zone"


def test_unreadable_settings_are_alerted_once_for_each_error() -> None:
    world = World()
    assert kinds(world.next_poll()) == ["watch.started"]
    [notice] = world.next_poll(settings_flaw=FLAW)
    assert (notice.kind, notice.recipients) == ("settings.refused", Recipients.OPERATORS)
    assert FLAW in (notice.detail or "")
    assert world.next_poll(settings_flaw=FLAW) == []
    assert kinds(world.next_poll(settings_flaw="no JSON object")) == ["settings.refused"]
    assert world.next_poll() == []
    assert kinds(world.next_poll(settings_flaw=FLAW)) == ["settings.refused"], "invalid again after it was valid"


@pytest.mark.parametrize(
    ("settings", "told_in"),
    [(None, "UTC"), ('{"time_zone": "Asia/Tokyo"}', "Asia/Tokyo"), ('{"time_zone": "Asia/Edo"}', "UTC")],
    ids=["none", "its own", "a zone that does not exist"],
)
def test_an_alert_has_the_shops_time_zone_else_the_stacks(settings: str | None, told_in: str) -> None:
    with account() as stack:
        if settings:
            name = "/orderwatch/connections/conn_a/settings"
            boto3.Session().client("ssm").put_parameter(Name=name, Value=settings, Type="String")
        stack.poll()
        stack.shop.place(order("1", status="exception"))
        stack.shop.sync()
        stack.poll()
        alerts = [Alert.model_validate_json(stack.alert(key)) for key in stack.pending()]
    zones = {alert.kind: alert.connection.time_zone for alert in alerts}
    assert zones["order.exception"] == told_in
    assert ("settings.refused" in zones) is (settings is not None and "Edo" in settings)
