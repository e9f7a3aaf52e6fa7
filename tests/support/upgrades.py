"""What an update of a stack with data in it must not change, by the CloudFormation reference of each type."""

from collections.abc import Iterator, Mapping
from typing import Any

type Template = Mapping[str, Any]

RETAINED = "RetainExceptOnCreate"
_FIXED = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
}
"""Properties whose change replaces the resource, and with it what it holds or who subscribes to it."""


def problems_of_an_upgrade(old: Template, new: Template) -> list[str]:
    """What would fail, or lose data, if a stack of the old template got the new one; one line for each."""
    return [*_parameters(old, new), *_outputs(old, new), *_resources(old, new)]


def _parameters(old: Template, new: Template) -> Iterator[str]:
    for name in new["Parameters"].keys() - old["Parameters"].keys():
        if "Default" not in new["Parameters"][name]:
            yield f"parameter {name}: new, and without a default"


def _outputs(old: Template, new: Template) -> Iterator[str]:
    yield from (f"output {name}: gone" for name in sorted(old["Outputs"].keys() - new["Outputs"].keys()))


def _resources(old: Template, new: Template) -> Iterator[str]:
    for name, before in old["Resources"].items():
        after = new["Resources"].get(name)
        if after is None or after["Type"] != before["Type"]:
            if before.get("DeletionPolicy") == RETAINED or before["Type"] == "AWS::SNS::Topic":
                yield f"{name}: gone from the template"
            continue
        if before.get("DeletionPolicy") == RETAINED:
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                if after.get(policy) != before.get(policy):
                    yield f"{name}: another {policy}"
        yield from (f"{name}: {flaw}" for flaw in _changes(before["Properties"], after["Properties"], before["Type"]))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], kind: str) -> Iterator[str]:
    for name in _FIXED.get(kind, ()):
        if before.get(name) != after.get(name):
            yield f"another {name} replaces it"
    if kind == "AWS::DynamoDB::Table":
        yield from _changes_of_a_table(before, after)


def _changes_of_a_table(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before.get("StreamSpecification") != after.get("StreamSpecification"):
        yield "another StreamSpecification makes a new stream, and its records are lost"
    kinds, kinds_now = (
        {each["AttributeName"]: each["AttributeType"] for each in part["AttributeDefinitions"]}
        for part in (before, after)
    )
    for name in sorted(kinds.keys() & kinds_now.keys()):
        if kinds[name] != kinds_now[name]:
            yield f"another type of {name} replaces it"
    indexes, indexes_now = (
        {each["IndexName"]: each for each in part.get("GlobalSecondaryIndexes", [])} for part in (before, after)
    )
    for name in sorted(indexes.keys() & indexes_now.keys()):
        if indexes[name] != indexes_now[name]:
            yield f"index {name} cannot change: add one with another name, and delete it in the next release"
    if len(indexes.keys() ^ indexes_now.keys()) > 1:
        yield "DynamoDB creates or deletes one index of a table in an update"
