"""`orderwatch env-json`: files for `sam local invoke` with the data of a stack."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch_cli.commands.env_json import Written, write_all
from orderwatch_cli.stack import TABLE
from tests.support.alerts import alert_of
from tests.support.operated import CONNECTION, TOKEN, Operated
from tests.support.permissions import environment_of

HOUR = timedelta(hours=1)


@pytest.fixture
def connected(operated: Operated) -> Operated:
    operated.create(TABLE)
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
    notes = ["post_to_slack does not post an alert that Slack received in the last two weeks"]
    assert written(connected, tmp_path).notes == notes

    [first], [second] = (records(tmp_path, f"poll_orders_message{of}.json") for of in ("", "_conn_b"))
    assert [json.loads(each["body"])["connection_id"] for each in (first, second)] == [CONNECTION, "conn_b"]
    assert first["eventSourceARN"].endswith(":PollQueue.fifo")
    by_hand = json.loads((tmp_path / "dispatch_polls_manual.json").read_text())
    assert by_hand == {"connection_ids": [CONNECTION, "conn_b"]}

    [inserted] = records(tmp_path, "publish_alerts_stream.json")
    image = inserted["dynamodb"]["NewImage"]
    assert (image["alert_id"], image["state"]) == ({"S": alert_of("o1").alert_id}, {"S": "pending"})
    assert "table/AlertTable/stream/" in inserted["eventSourceARN"]
    [message] = records(tmp_path, "post_to_slack_message.json")
    assert Alert.model_validate_json(message["body"]).alert_id == alert_of("o1").alert_id

    variables = json.loads((tmp_path / "env.json").read_text())
    unset = {"AWS_ENDPOINT_URL": "", "HTTPS_PROXY": "", "NO_PROXY": ""}
    assert variables["PollOrdersFunction"] == environment_of("PollOrdersFunction") | unset
    assert len(variables) == 7


def test_without_a_pending_alert_the_newest_one_is_used(connected: Operated, tmp_path: Path) -> None:
    connected.write_alert(alert_of("o1"), ago=HOUR)
    connected.write_alert(alert_of("o2"))
    assert "publish_alerts sends nothing" in written(connected, tmp_path).notes[0]
    [inserted] = records(tmp_path, "publish_alerts_stream.json")
    assert inserted["dynamodb"]["Keys"]["alert_id"]["S"] == alert_of("o2").alert_id


def test_stack_without_alerts_gets_private_files_without_a_secret(connected: Operated, tmp_path: Path) -> None:
    files = written(connected, tmp_path / "new")
    assert files.notes == [
        "no publish_alerts_stream.json and no post_to_slack_message.json: the stack has no alert yet"
    ]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(Path(each).name for each in files.files)
    for path in map(Path, files.files):
        assert path.stat().st_mode & 0o777 == 0o600
        assert TOKEN not in path.read_text()


def test_command_that_writes_nothing_names_the_remedy(operated: Operated, tmp_path: Path) -> None:
    operated.create(TABLE)
    ran = operated.run("env-json", "--into", str(tmp_path))
    assert ran.err.endswith("connect one with: orderwatch connect CONNECTION_ID\n")
    ran = operated.run("env-json", "--endpoint-url", "http://127.0.0.1:9")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "`orderwatch up --for-sam`" in ran.err
    assert not any(tmp_path.iterdir())

    operated.connect(CONNECTION, TOKEN)
    (tmp_path / "file").touch()
    ran = operated.run("env-json", "--into", str(tmp_path / "file"))
    assert (ran.code, "cannot be written" in ran.err, "--into" in ran.err) == (1, True, True)
