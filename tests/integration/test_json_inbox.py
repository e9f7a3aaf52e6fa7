"""The queue behind `up --json`: both topics, alerts alone, each once."""

import json
import threading

from orderwatch_local.cloud.inbox import JsonInbox
from orderwatch_local.cloud.local_cloud import LocalCloud


def test_one_inbox_gets_the_alerts_of_both_topics_once() -> None:
    came: list[str] = []
    has_all = threading.Event()

    def take(body: str) -> None:
        came.append(json.loads(body)["alert_id"])
        if len(set(came)) == 2:
            has_all.set()

    with LocalCloud() as cloud:
        sns = cloud.client("sns")
        topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("alerts", "operators")]
        with JsonInbox(cloud.client("sqs"), cloud.subscribe_queue(*topics), take):
            for body in ('{"AlarmName": "NoPolls"}', "[1]", "not json", '{"alert_id": "a"}', '{"alert_id": "a"}'):
                sns.publish(TopicArn=topics[0], Message=body)
            sns.publish(TopicArn=topics[1], Message='{"alert_id": "b"}')
            assert has_all.wait(timeout=30)
    assert sorted(came) == ["a", "b"]
