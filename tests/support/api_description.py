"""Checks responses against the vendor's API description, `tests/integration/trackstar/openapi.yaml`.

Its schemas are open for readers. The simulated shop must not invent fields, so here every schema is closed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.template import ROOT

DOCUMENT: Any = yaml.safe_load((ROOT / "tests/integration/trackstar/openapi.yaml").read_text(encoding="utf-8"))
_URI = "urn:trackstar"


@dataclass(frozen=True)
class Operation:
    """One operation of the description.

    Attributes:
        method: The HTTP method in capitals.
        parameters: The schemas of the query's parameters by name, documented aliases included.
        responses: Pointers into the document by documented status, which can be `5XX`.
    """

    method: str
    parameters: Mapping[str, Any]
    responses: Mapping[str, str]

    def check(self, status: int, headers: Mapping[str, str], body: bytes, *, is_json: bool = True) -> None:
        """Assert that status, headers, media type and body are as documented."""
        pointer = self.responses.get(str(status)) or self.responses[f"{status // 100}XX"]
        pointer = _at(pointer).get("$ref", pointer).removeprefix("#")
        documented = _at(pointer)
        assert {"X-Request-Id"} <= documented["headers"].keys()
        for name, header in documented["headers"].items():
            schema = _resolved(header)["schema"]
            assert name in headers, f"{name} is missing"
            Draft202012Validator(schema).validate(int(headers[name]) if schema["type"] == "integer" else headers[name])
        media_type = headers["content-type"].partition(";")[0]
        assert media_type in documented["content"], f"{media_type} is not documented"
        _validator(f"{pointer}/content/{_escaped(media_type)}/schema").validate(
            json.loads(body) if is_json else body.decode()
        )


def _operations() -> Iterator[tuple[str, Operation]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            at = f"/paths/{_escaped(path)}/{method}/responses"
            responses = {status: f"{at}/{status}" for status in operation["responses"]}
            yield operation["operationId"], Operation(method.upper(), dict(_parameters(operation)), responses)


def _parameters(operation: Any) -> Iterator[tuple[str, Any]]:
    for parameter in map(_resolved, operation.get("parameters", ())):
        if parameter["in"] == "query":
            names = [parameter["name"], *re.findall(r"The same as ([^ ]+)\.", parameter.get("description", ""))]
            yield from dict.fromkeys(names, _resolved(parameter["schema"])).items()


def _resolved(node: Any) -> Any:
    return _resolved(_at(node["$ref"].removeprefix("#"))) if "$ref" in node else node


def _at(pointer: str) -> Any:
    node = DOCUMENT
    for part in pointer.split("/")[1:]:
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(value) for name, value in node.items()}
    is_schema = isinstance(node.get("properties"), dict) and "additionalProperties" not in node
    return closed | {"additionalProperties": False} if is_schema else closed


_CLOSED = Resource.from_contents(_closed(DOCUMENT), default_specification=DRAFT202012)
_REGISTRY: Registry[Any] = Registry().with_resource(_URI, _CLOSED)


def _validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"{_URI}#{pointer}"}, registry=_REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


OPERATIONS = dict(_operations())
"""Every operation by its id."""
