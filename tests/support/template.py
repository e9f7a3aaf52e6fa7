"""The template as data, so that tests create the deployed tables and check its settings."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as one-key mappings."""


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tag)


@cache
def load_template(path: str = "template.yaml") -> dict[str, Any]:
    """A committed template; read once, not to be changed."""
    return parse_template((ROOT / path).read_text())


def parse_template(text: str) -> dict[str, Any]:
    """Read a template."""
    document: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506
    return document


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the template's resources of a type, by their logical names."""
    return {
        name: resource["Properties"]
        for name, resource in load_template()["Resources"].items()
        if resource["Type"] == kind
    }
