"""Generates the JSON Schema of `orderwatch.alert.v1` from the model.

`python -m orderwatch_local.preview.schema docs/alert.schema.json` writes it.
"""

import json
import sys
from pathlib import Path

from orderwatch.alerts.alert import Alert


def alert_schema() -> str:
    """Return the schema as the text of its file."""
    schema = Alert.model_json_schema(mode="serialization", by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "orderwatch.alert.v1"}
    return json.dumps(head | {name: part for name, part in schema.items() if name not in head}, indent=2) + "\n"


def main() -> None:
    """Write the schema to the file in the command line."""
    Path(sys.argv[1]).write_text(alert_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
