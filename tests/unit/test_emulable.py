"""What the local cloud gets of the template: everything but what the emulator refuses."""

from pathlib import Path

import yaml

from orderwatch_local.cloud.sam import emulable

ALARM = "AWS::CloudWatch::Alarm"


def test_an_alarm_on_an_expression_is_left_out_and_the_rest_stays_where_its_paths_hold(tmp_path: Path) -> None:
    kept = {
        "PollOrdersFunction": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "PollOrdersFunction"}},
        "NoPollsAlarm": {"Type": ALARM, "Properties": {"MetricName": "PollsFinished"}},
    }
    refused = {"NoRedriveAlarm": {"Type": ALARM, "Properties": {"Metrics": [{"Expression": "FILL(runs, 0)"}]}}}
    built = tmp_path / "template.yaml"
    built.write_text(yaml.safe_dump({"Parameters": {"Name": {}}, "Resources": {**kept, **refused}}))
    twin = emulable(built)
    assert yaml.safe_load(twin.read_text()) == {"Parameters": {"Name": {}}, "Resources": kept}
    assert sorted(tmp_path.iterdir()) == sorted([built, twin])


def test_the_build_itself_is_left_as_it_is(tmp_path: Path) -> None:
    built = tmp_path / "template.yaml"
    built.write_text("Resources: {Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {Metrics: []}}}\n")
    before = built.read_text()
    emulable(built)
    assert built.read_text() == before
