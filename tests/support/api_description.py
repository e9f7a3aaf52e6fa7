"""Checks responses against the vendor's API description, `tests/integration/trackstar/openapi.yaml`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.template import ROOT

DESCRIPTION = ROOT / "tests/integration/trackstar/openapi.yaml"
_URI = "urn:trackstar"
_REQUIRED_EVERYWHERE = "X-Request-Id"


@dataclass(frozen=True)
class Operation:
    """One operation of the description.

    Attributes:
        method: The HTTP method in capitals.
        path: The path with its placeholders.
        parameters: The schemas of the query's parameters by name, documented aliases included.
        responses: Pointers into the document by documented status, which can be `5XX`.
    """

    method: str
    path: str
    parameters: Mapping[str, Any]
    responses: Mapping[str, str]


class ApiDescription:
    """Its schemas are open for readers. The simulated shop must not invent fields, so here every schema is closed."""

    def __init__(self) -> None:
        self._document: Any = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
        closed = Resource.from_contents(_closed(self._document), default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_URI, closed)

    @property
    def operations(self) -> dict[str, Operation]:
        """Every operation by its id."""
        return dict(self._operations())

    def check(
        self, operation: Operation, *, status: int, headers: Mapping[str, str], body: bytes, is_json: bool = True
    ) -> None:
        """Assert that a response is documented.

        Raises:
            AssertionError: The status, a header, the media type or the body is not as documented.
        """
        pointer = self._response(operation, status)
        documented = self._at(pointer)
        for name, header in documented["headers"].items():
            assert name in headers, f"{name} is missing"
            assert header is not None
            self._check_header(pointer, name, headers[name])
        assert _REQUIRED_EVERYWHERE in headers
        media_type = headers["content-type"].partition(";")[0]
        assert media_type in documented["content"], f"{media_type} is not documented"
        content = json.loads(body) if is_json else body.decode()
        self._validate(f"{pointer}/content/{_escaped(media_type)}/schema", content)

    def _operations(self) -> Iterator[tuple[str, Operation]]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                at = f"/paths/{_escaped(path)}/{method}/responses"
                yield (
                    operation["operationId"],
                    Operation(
                        method.upper(),
                        path,
                        dict(self._query(operation)),
                        {status: f"{at}/{status}" for status in operation["responses"]},
                    ),
                )

    def _query(self, operation: Any) -> Iterator[tuple[str, Any]]:
        for parameter in map(self._resolved, operation.get("parameters", ())):
            if parameter["in"] == "query":
                yield parameter["name"], self._resolved(parameter["schema"])
                for alias in re.findall(r"The same as ([^ ]+)\.", parameter.get("description", "")):
                    yield alias, self._resolved(parameter["schema"])

    def _response(self, operation: Operation, status: int) -> str:
        pointer = operation.responses.get(str(status)) or operation.responses.get(f"{status // 100}XX")
        assert pointer, f"{operation.method} {operation.path} does not document {status}"
        reference = self._at(pointer).get("$ref")
        return reference.removeprefix("#") if reference else pointer

    def _check_header(self, pointer: str, name: str, value: str) -> None:
        schema = self._resolved(self._at(pointer)["headers"][name])["schema"]
        Draft202012Validator(schema).validate(int(value) if schema["type"] == "integer" else value)

    def _validate(self, pointer: str, instance: object) -> None:
        validator = Draft202012Validator(
            {"$ref": f"{_URI}#{pointer}"},
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        validator.validate(instance)

    def _resolved(self, node: Any) -> Any:
        return self._resolved(self._at(node["$ref"].removeprefix("#"))) if "$ref" in node else node

    def _at(self, pointer: str) -> Any:
        node = self._document
        for part in pointer.split("/")[1:]:
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node


@cache
def api_description() -> ApiDescription:
    """The description, read once."""
    return ApiDescription()


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
