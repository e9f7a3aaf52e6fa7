"""The template for the local cloud: everything except what the emulator refuses."""

from pathlib import Path

import yaml

from orderwatch_local.cloud.sam import template_for_emulator

ALARM = "AWS::CloudWatch::Alarm"


def test_a_copy_for_the_emulator_leaves_out_expression_alarms(tmp_path: Path) -> None:
    kept = {
        "PollOrdersFunction": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "PollOrdersFunction"}},
        "NoPollsAlarm": {"Type": ALARM, "Properties": {"MetricName": "PollsFinished"}},
    }
    refused = {"NoRedriveAlarm": {"Type": ALARM, "Properties": {"Metrics": [{"Expression": "FILL(runs, 0)"}]}}}
    built = tmp_path / "template.yaml"
    built.write_text(before := yaml.safe_dump({"Parameters": {"Name": {}}, "Resources": {**kept, **refused}}))
    copy = template_for_emulator(built)
    assert yaml.safe_load(copy.read_text()) == {"Parameters": {"Name": {}}, "Resources": kept}
    assert built.read_text() == before
    assert {*tmp_path.iterdir()} == {built, copy}
