"""Prints template.yaml after the SAM transform, with every optional resource enabled.

`make check` runs it with SAM CLI's Python, which has the translator: `python local/transform.py template.yaml`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.translator import Translator

ENABLED = {
    "SlackEnabled": "true",
    "Tracing": "Active",
    "AlertEmail": "alerts@example.com",
    "OpsEmail": "operators@example.com",
}


class _NoPolicies(ManagedPolicyLoader):  # type: ignore[misc]
    """Skips the lookup of managed policies: the template has its own roles."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        return {}


def transformed(path: Path) -> dict[str, Any]:
    """Return the template after the transform."""
    template = yaml_parse(path.read_text())
    for name, value in ENABLED.items():
        template["Parameters"][name]["Default"] = value
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"
    result: dict[str, Any] = Translator({}, Parser()).translate(template, {})
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(transformed(Path(sys.argv[1])), indent=1))
