import json
import re
from pathlib import Path
from typing import Any

import pytest
from moto.sns.utils import FilterPolicyMatcher

from orderwatch.rendering.sns import render
from orderwatch_local.preview.samples import SAMPLES
from orderwatch_local.preview.schema import alert_schema
from tests.unit.golden.samples import CHANNELS, FOLDER, GOLDEN, golden_file

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE, *POLICIES = re.findall(r"```json\n(.*?)\n```", (DOCS / "alerts.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(("kind", "channel"), GOLDEN)
def test_a_message_is_the_same_as_its_golden_file(kind: str, channel: str) -> None:
    assert CHANNELS[channel](SAMPLES[kind]) == golden_file(kind, channel).read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    expected = {golden_file(kind, channel).name for kind, channel in GOLDEN}
    assert {path.name for path in FOLDER.iterdir() if path.suffix in {".txt", ".json"}} == expected


def test_the_committed_schema_is_up_to_date() -> None:
    assert (DOCS / "alert.schema.json").read_text(encoding="utf-8") == alert_schema()


def test_the_documented_example_is_a_golden_file() -> None:
    assert json.loads(EXAMPLE) == json.loads(golden_file("order.exception", "json").read_text(encoding="utf-8"))


def _matches(policy: dict[str, Any], kind: str) -> bool:
    message = render(SAMPLES[kind])
    attributes = {name: {"Type": each.type, "Value": each.value} for name, each in message.attributes.items()}
    scope = "MessageBody" if "skus" in policy else "MessageAttributes"
    return FilterPolicyMatcher(policy, scope).matches(attributes, message.bodies["sqs"])


@pytest.mark.parametrize(
    ("policy", "reached"),
    list(
        zip(
            POLICIES,
            [
                set(SAMPLES) - {"topic.no_subscribers", "topic.resubscribed", "status.unknown", "summary.daily"},
                {
                    *("order.backordered", "order.restocked", "order.reminder"),
                    *("order.digest", "order.digest.restocked", "order.digest.reminder"),
                },
                {"order.backordered", "order.digest", "order.digest.restocked", "order.digest.reminder"},
                {"order.backordered"},
                set(SAMPLES) - {"order.recovered", "connection.recovered", "topic.resubscribed", "watch.started"},
                {
                    *("order.exception", "order.cancelled", "order.at_risk", "order.late", "order.stuck"),
                    *("order.reminder", "order.digest.reminder"),
                },
            ],
            strict=True,
        )
    ),
    ids=["one shop", "one status", "value", "overdue", "all but good news", "SKUs"],
)
def test_a_documented_filter_policy_matches_these_kinds(policy: str, reached: set[str]) -> None:
    assert {kind for kind in SAMPLES if _matches(json.loads(policy), kind)} == reached


def test_a_policy_for_one_shop_keeps_others_out() -> None:
    assert not _matches({"connection_id": ["another"]}, "order.exception")


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_is_documented(kind: str) -> None:
    documented = (DOCS / "alerts.md").read_text(encoding="utf-8")
    assert f"`{kind}`" in documented or kind == "order.other"
