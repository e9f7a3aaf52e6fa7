"""`orderwatch env-json`: files for `sam local invoke` with the data of a stack."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch_cli.commands.env_json import EnvJsonError, Written, write_all
from tests.support.alerts import alert_of
from tests.support.operated import CONNECTION, TOKEN, Operated

HOUR = timedelta(hours=1)


@pytest.fixture
def connected(operated: Operated) -> Operated:
    operated.connect(CONNECTION, TOKEN)
    return operated


def written(operated: Operated, folder: Path) -> Written:
    return write_all(operated.stack, folder)


def records(folder: Path, name: str) -> list[Any]:
    event: dict[str, list[Any]] = json.loads((folder / name).read_text())
    return event["Records"]


def test_events_have_the_shops_and_the_pending_alert(connected: Operated, tmp_path: Path) -> None:
    connected.connect("conn_b", "token-of-conn-b")
    connected.write_alert(alert_of("o1"), ago=3 * HOUR, sent=False)
    connected.write_alert(alert_of("o2"), ago=HOUR)
    assert written(connected, tmp_path).notes == [
        "post_to_slack does not post an alert that Slack received in the last two weeks"
    ]

    [first], [second] = (records(tmp_path, f"poll_orders_message{of}.json") for of in ("", "_conn_b"))
    assert [json.loads(each["body"])["connection_id"] for each in (first, second)] == [CONNECTION, "conn_b"]
    assert first["eventSourceARN"].endswith(connected.outputs.poll_queue_url.rpartition("/")[2])
    assert json.loads((tmp_path / "dispatch_polls_manual.json").read_text()) == {
        "connection_ids": [CONNECTION, "conn_b"]
    }

    [inserted] = records(tmp_path, "publish_alerts_stream.json")
    image = inserted["dynamodb"]["NewImage"]
    assert (image["alert_id"], image["state"]) == ({"S": alert_of("o1").alert_id}, {"S": "pending"})
    assert f"table/{connected.outputs.alert_table_name}/stream/" in inserted["eventSourceARN"]

    [message] = records(tmp_path, "post_to_slack_message.json")
    assert Alert.model_validate_json(message["body"]).alert_id == alert_of("o1").alert_id


def test_without_a_pending_alert_the_newest_one_is_used(connected: Operated, tmp_path: Path) -> None:
    connected.write_alert(alert_of("o1"), ago=HOUR)
    connected.write_alert(alert_of("o2"))
    assert "publish_alerts sends nothing" in written(connected, tmp_path).notes[0]
    [inserted] = records(tmp_path, "publish_alerts_stream.json")
    assert inserted["dynamodb"]["Keys"]["alert_id"]["S"] == alert_of("o2").alert_id


def test_stack_without_alerts_gets_the_other_events_and_a_note(connected: Operated, tmp_path: Path) -> None:
    files = written(connected, tmp_path)
    assert files.notes == [
        "no publish_alerts_stream.json and no post_to_slack_message.json: the stack has no alert yet"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(Path(each).name for each in files.files)


def test_without_a_shop_nothing_is_written(operated: Operated, tmp_path: Path) -> None:
    with pytest.raises(EnvJsonError, match="connect one with: orderwatch connect CONNECTION_ID"):
        written(operated, tmp_path)
    assert not any(tmp_path.iterdir())


def test_files_are_private_and_hold_no_secret(connected: Operated, tmp_path: Path) -> None:
    connected.write_alert(alert_of("o1"))
    for path in map(Path, written(connected, tmp_path / "new").files):
        assert path.stat().st_mode & 0o777 == 0o600
        assert TOKEN not in path.read_text()


def test_unwritable_folder_is_named_with_the_remedy(connected: Operated, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvJsonError, match=r"file.*cannot be written.*--into"):
        written(connected, tmp_path / "file")


def test_local_cloud_that_containers_cannot_reach_is_rejected(operated: Operated) -> None:
    ran = operated.run("env-json")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "`orderwatch up --for-sam`" in ran.err
