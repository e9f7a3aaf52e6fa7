"""The built template without what the emulator refuses: alarms on an expression over metrics."""

import os
from pathlib import Path
from typing import Any

import yaml


def emulable(template: Path) -> Path:
    """Write the built template's twin for the emulator.

    Args:
        template: As `sam build` wrote it.

    Returns:
        The twin, in the same folder: the template's paths to its functions are relative.
    """
    document: dict[str, Any] = yaml.safe_load(template.read_text())
    resources = {name: each for name, each in document["Resources"].items() if not _is_on_an_expression(each)}
    twin = template.with_name("emulable.yaml")
    # Two processes may deploy the same build at once.
    partial = template.with_name(f"emulable-{os.getpid()}.yaml")
    partial.write_text(yaml.safe_dump({**document, "Resources": resources}, sort_keys=False))
    return partial.replace(twin)


def _is_on_an_expression(resource: dict[str, Any]) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
