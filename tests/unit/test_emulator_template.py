"""The template for the local cloud: everything except what the emulator refuses."""

from pathlib import Path

import yaml

from orderwatch_local.cloud.sam import template_for_emulator

ALARM = "AWS::CloudWatch::Alarm"


def test_expression_alarms_are_removed_for_the_emulator(tmp_path: Path) -> None:
    kept = {
        "PollOrdersFunction": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "PollOrdersFunction"}},
        "NoPollsAlarm": {"Type": ALARM, "Properties": {"MetricName": "PollsFinished"}},
    }
    refused = {"NoRedriveAlarm": {"Type": ALARM, "Properties": {"Metrics": [{"Expression": "FILL(runs, 0)"}]}}}
    built = tmp_path / "template.yaml"
    built.write_text(yaml.safe_dump({"Parameters": {"Name": {}}, "Resources": {**kept, **refused}}))
    twin = template_for_emulator(built)
    assert yaml.safe_load(twin.read_text()) == {"Parameters": {"Name": {}}, "Resources": kept}
    assert sorted(tmp_path.iterdir()) == sorted([built, twin])


def test_the_built_template_is_not_changed(tmp_path: Path) -> None:
    built = tmp_path / "template.yaml"
    built.write_text("Resources: {Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {Metrics: []}}}\n")
    before = built.read_text()
    template_for_emulator(built)
    assert built.read_text() == before
