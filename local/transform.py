"""Prints template.yaml after the SAM transform, with every optional resource enabled.

`make check` runs it with SAM CLI's Python, which has the translator: `python local/transform.py template.yaml`. With
`--governed` it has the parameters of a governed account too: a permissions boundary, a KMS key, a VPC and a proxy.
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
    "ActionLinks": "true",
    "Tracing": "Active",
    "AlertEmail": "alerts@example.com",
    "OpsEmail": "operators@example.com",
}
GOVERNED = {
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    "SubnetIds": "subnet-0a,subnet-0b",
    "SecurityGroupIds": "sg-0a",
    "HttpsProxy": "http://proxy.example.com:3128",
    "NoProxy": ".amazonaws.com",
}


class _NoPolicies(ManagedPolicyLoader):  # type: ignore[misc]
    """Skips the lookup of managed policies: the template has its own roles."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        return {}


def transformed(path: Path, parameters: dict[str, str]) -> dict[str, Any]:
    """Return the template after the transform, with these defaults of its parameters."""
    template = yaml_parse(path.read_text())
    for name, value in parameters.items():
        template["Parameters"][name]["Default"] = value
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"
    result: dict[str, Any] = Translator({}, Parser()).translate(template, {})
    return result


if __name__ == "__main__":
    enabled = ENABLED | GOVERNED if "--governed" in sys.argv else ENABLED
    sys.stdout.write(json.dumps(transformed(Path(sys.argv[1]), enabled), indent=1))
