"""Amazon Q Developer: the custom notification and its limits."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orderwatch.alerts.alert import Alert, Enrichment
from orderwatch.rendering import amazon_q, content
from orderwatch.rendering.content import Fact
from orderwatch.rendering.formatting import MAX_LINK
from orderwatch.rendering.markup import for_amazon_q
from orderwatch_local.preview.samples import SAMPLES, order_alert

SCHEMA = Path(__file__).parents[2] / "docs/amazon-q-notification.schema.json"
CUSTOM_NOTIFICATION: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))


def test_the_schema_has_the_bounds_of_the_renderer() -> None:
    jsonschema.Draft202012Validator.check_schema(CUSTOM_NOTIFICATION)
    content, metadata = (CUSTOM_NOTIFICATION["properties"][part]["properties"] for part in ("content", "metadata"))
    assert content["title"]["maxLength"] == amazon_q.MAX_TITLE
    assert content["description"]["maxLength"] == amazon_q.MAX_DESCRIPTION
    assert content["nextSteps"]["items"]["maxLength"] == amazon_q.MAX_STEP
    assert content["keywords"]["items"]["maxLength"] == amazon_q.MAX_KEYWORD
    assert metadata["threadId"]["maxLength"] == amazon_q.MAX_THREAD_ID
    assert metadata["summary"]["maxLength"] == amazon_q.MAX_SUMMARY
    assert metadata["relatedResources"]["items"]["maxLength"] == MAX_LINK


def thread_of(alert: Alert) -> str:
    return str(amazon_q.notification(alert)["metadata"]["threadId"])


@pytest.mark.parametrize(
    ("alert", "thread"),
    [
        (SAMPLES["order.exception"], "conn-7f3a#gid-5501042"),
        (SAMPLES["order.recovered"], "conn-7f3a#gid-5501042"),
        (SAMPLES["order.exception"].model_copy(update={"connection_id": "other"}), "other#gid-5501042"),
        (SAMPLES["order.digest"], "conn-7f3a#order.backordered"),
        (SAMPLES["connection.blocked"], "conn-7f3a"),
        (SAMPLES["connection.recovered"], "conn-7f3a"),
    ],
)
def test_alerts_about_the_same_thing_share_a_thread(alert: Alert, thread: str) -> None:
    assert thread_of(alert) == thread


def test_a_long_thread_id_is_replaced_by_a_stable_one() -> None:
    long = [thread_of(order_alert(kind, id="x" * 250)) for kind in ("order.exception", "order.cancelled")]
    assert long[0] == long[1] != thread_of(order_alert("order.exception", id="y" * 250))


@pytest.mark.parametrize(("text", "shown"), [("ab&", "ab&amp;"), ("ab&c", "ab..."), ("<", "&lt;"), (">", "&gt;")])
def test_an_escape_is_never_cut_in_two(text: str, shown: str) -> None:
    assert for_amazon_q(text, limit=7) == shown


def test_facts_that_do_not_fit_are_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [Fact(f"Fact {number}", "&" * 60) for number in range(amazon_q.MAX_LIST)]
    monkeypatch.setattr(content, "facts_of", lambda _: facts)
    alert = SAMPLES["order.exception"]
    long = alert.model_copy(update={"enrichment": Enrichment(complete=False, missing=("m" * 200,) * 3)})
    assert alert.order
    order = alert.order.model_copy(update={"raw_status": "&" * 160})
    lines = amazon_q.notification(long.replace(order=order))["content"]["description"].split("\n")
    shown = [line for line in lines if line.startswith("*Fact")]
    assert shown == [f"*Fact {number}:* {for_amazon_q('&' * 60, limit=200)}" for number in range(len(shown))]
    assert 0 < len(shown) < amazon_q.MAX_LIST
    assert len("\n".join(lines)) <= amazon_q.MAX_DESCRIPTION
    assert lines[-1].startswith("_Last Trackstar sync: ")
