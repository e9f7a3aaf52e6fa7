"""Which filter policies work in an account: two queues ask AlertTopic for one kind, by its attribute and by its JSON.

AWS's documentation says in one place that SNS sends attributes only if the message structure is `String`; orderwatch
uses `json`, for the channels' own texts. Only an account can prove that an attribute filters nevertheless.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

from rich.console import Console

from orderwatch.rendering.formatting import plural
from orderwatch_cli.output import ATTENTION, OK, PROBLEM, printable_text
from orderwatch_local.cloud.inbox import JsonInbox

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

KIND = "order.exception"
"""The kind that both queues ask for."""
ARRIVAL_SECONDS = 30.0
"""Time limit of the messages that the unfiltered queue has already."""
CHECK_EVERY = 0.2
ATTRIBUTES, BODY = "MessageAttributes", "MessageBody"
"""The values of `FilterPolicyScope`."""
_INBOXES = {ATTRIBUTES: "AttributeInbox", BODY: "BodyInbox"}
"""The queues in local/smoke.yaml."""
_NAMES = {ATTRIBUTES: "attribute filters", BODY: "body filters"}
_REMEDIES = {
    ATTRIBUTES: "use filters with FilterPolicyScope=MessageBody: each attribute is also a field of the JSON",
    BODY: "compare the message in the queue of an unfiltered subscription with docs/alerts.md",
}


class Verdict(NamedTuple):
    """What is known about one scope.

    Attributes:
        text: The verdict in a sentence, with the remedy.
        style: Rich's style of it.
        works: False if messages that the policy asks for did not arrive.
    """

    text: str
    style: str
    works: bool


def judge(scope: str, *, expected: int, received: Mapping[str, int]) -> Verdict:
    """Judge a scope.

    Args:
        scope: `ATTRIBUTES` or `BODY`.
        expected: Number of messages of the kind that the unfiltered queue received.
        received: Number of messages that the filtered queue received, by kind.
    """
    name, arrived = _NAMES[scope], received.get(KIND, 0)
    if arrived < expected:
        text = f"{name} do not work: {arrived} of {expected} messages ({KIND}) arrived; {_REMEDIES[scope]}"
        return Verdict(text, PROBLEM if scope == BODY else ATTENTION, works=False)
    if others := sum(received.values()) - arrived:
        text = f"{name} are not proven: {plural(others, 'other message')} arrived too"
        return Verdict(f"{text}; SNS applies a new policy within 15 minutes, so run this again", ATTENTION, works=True)
    if not expected:
        return Verdict(f"{name} are not proven: no alert of {KIND} was sent", ATTENTION, works=True)
    return Verdict(f"{name} work: {plural(arrived, 'message')} ({KIND}) arrived and no other", OK, works=True)


class FilteredInboxes:
    """The two queues and what they receive. Leave the `with` block to stop receiving.

    Args:
        sqs: The client for the queues.
        outputs: The outputs of local/smoke.yaml.
    """

    def __init__(self, sqs: "SQSClient", outputs: Mapping[str, str]) -> None:
        self._sqs = sqs
        self._outputs = outputs
        self._received: dict[str, Counter[str]] = {scope: Counter() for scope in _INBOXES}
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        for scope, inbox in _INBOXES.items():
            count = partial(_count, self._received[scope])
            self._opened.enter_context(JsonInbox(self._sqs, self._outputs[f"{inbox}Url"], count))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def subscribe(self, sns: "SNSClient", topic_arn: str) -> None:
        """Subscribe each queue with its policy."""
        for scope, inbox in _INBOXES.items():
            policy = {"FilterPolicy": json.dumps({"kind": [KIND]}), "FilterPolicyScope": scope}
            sns.subscribe(
                TopicArn=topic_arn,
                Protocol="sqs",
                Endpoint=self._outputs[f"{inbox}Arn"],
                Attributes={"RawMessageDelivery": "true", **policy},
            )

    def report(self, console: Console, *, expected: int) -> bool:
        """Show which filters work.

        Args:
            console: The terminal.
            expected: Number of messages of `KIND` that the unfiltered queue received.

        Returns:
            Whether body filters work. Attribute filters that do not are shown, and have a remedy.
        """
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not self._has_all(expected) and time.monotonic() < deadline:
            time.sleep(CHECK_EVERY)
        verdicts = {scope: judge(scope, expected=expected, received=found) for scope, found in self._received.items()}
        for verdict in verdicts.values():
            console.print(printable_text(verdict.text, verdict.style), soft_wrap=True)
        return verdicts[BODY].works

    def _has_all(self, expected: int) -> bool:
        return all(kinds[KIND] >= expected for kinds in self._received.values())


def _count(kinds: Counter[str], body: str) -> None:
    kinds[json.loads(body)["kind"]] += 1
