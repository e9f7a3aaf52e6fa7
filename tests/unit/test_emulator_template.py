"""The template for the local cloud: everything except what the emulator refuses, and the layer as an archive."""

from pathlib import Path

import yaml

from orderwatch_local.cloud.sam import template_for_emulator

ALARM = "AWS::CloudWatch::Alarm"


def test_a_copy_for_the_emulator_lacks_expression_alarms_and_names_the_archive(tmp_path: Path) -> None:
    kept = {
        "PollOrdersFunction": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "PollOrdersFunction"}},
        "NoPollsAlarm": {"Type": ALARM, "Properties": {"MetricName": "PollsFinished"}},
    }
    layer = {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "OrderwatchLayer"}}
    refused = {"NoRedriveAlarm": {"Type": ALARM, "Properties": {"Metrics": [{"Expression": "FILL(runs, 0)"}]}}}
    built = tmp_path / "template.yaml"
    built.write_text(
        before := yaml.safe_dump(
            {"Parameters": {"Name": {}}, "Resources": {**kept, **refused, "OrderwatchLayer": layer}}
        )
    )
    copy = template_for_emulator(built)
    layer["Properties"] = {"ContentUri": "OrderwatchLayer.zip"}
    expected = {**kept, "OrderwatchLayer": layer}
    assert yaml.safe_load(copy.read_text()) == {"Parameters": {"Name": {}}, "Resources": expected}
    assert built.read_text() == before
    assert {*tmp_path.iterdir()} == {built, copy}
