"""Prints template.yaml as CloudFormation gets it: SAM's resources written out, everything that is optional switched on.

Run by `make check` with the Python of SAM CLI, whose own translator this is: `python local/transform.py template.yaml`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.translator import Translator

SWITCHED_ON = {
    "SlackEnabled": "true",
    "Tracing": "Active",
    "AlertEmail": "alerts@example.com",
    "OpsEmail": "operators@example.com",
    "AmazonQSlackWorkspaceId": "T0123ABCD",
    "AmazonQSlackChannelId": "C0123ABCD",
}


class _NoPolicies(ManagedPolicyLoader):  # type: ignore[misc]
    """The roles are written out: no managed policy is looked up."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        return {}


def transformed(path: Path) -> dict[str, Any]:
    """The template after the transform."""
    template = yaml_parse(path.read_text())
    for name, value in SWITCHED_ON.items():
        template["Parameters"][name]["Default"] = value
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"
    result: dict[str, Any] = Translator({}, Parser()).translate(template, {})
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(transformed(Path(sys.argv[1])), indent=1))
