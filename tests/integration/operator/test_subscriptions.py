"""`orderwatch subscribe` and `subscriptions`: e-mail addresses of the two topics, on an SNS that checks tokens."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.operated import Operated
from tests.support.permissions import arn_of

ADDRESS = "ops@example.com"
LINK = "https://sns.us-east-1.amazonaws.com/confirmation.html?TopicArn={arn}&Token={token}&Endpoint=ops@example.com"


class RefusedError(Exception):
    """SNS refuses a token."""


class FakeSns:
    """Topics whose subscriptions have to be confirmed; moto confirms them at once.

    Attributes:
        by_topic: Address, confirmation and ARN of each subscription, by topic.
        confirmed: The requests that confirmed one.
    """

    exceptions = SimpleNamespace(InvalidParameterException=RefusedError, NotFoundException=RefusedError)

    def __init__(self) -> None:
        self.by_topic: dict[str, list[dict[str, Any]]] = {arn_of("AlertTopic"): [], arn_of("OpsTopic"): []}
        self.confirmed: list[dict[str, str]] = []

    def subscribe(self, **request: str) -> dict[str, str]:
        found = self.by_topic[request["TopicArn"]]
        for each in found:
            if each["Endpoint"] == request["Endpoint"]:
                return {"SubscriptionArn": each["SubscriptionArn"]}
        found.append({**request, "SubscriptionArn": "PendingConfirmation"})
        return {"SubscriptionArn": "pending confirmation"}

    def confirm_subscription(self, **request: str) -> dict[str, str]:
        for each in self.by_topic[request["TopicArn"]]:
            if request["Token"] == f"token-of-{each['Endpoint']}":
                self.confirmed.append(request)
                each["SubscriptionArn"] = f"{request['TopicArn']}:1"
                return {"SubscriptionArn": each["SubscriptionArn"]}
        raise RefusedError

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=lambda TopicArn: [{"Subscriptions": self.by_topic[TopicArn]}])  # noqa: N803

    def get_subscription_attributes(self, **_: str) -> dict[str, Any]:
        is_protected = any(each["AuthenticateOnUnsubscribe"] == "true" for each in self.confirmed)
        return {"Attributes": {"ConfirmationWasAuthenticated": str(is_protected).lower()}}

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def sns(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> FakeSns:
    fake = FakeSns()
    monkeypatch.setitem(operated.session._fakes, "sns", fake)
    return fake


@pytest.mark.parametrize(("options", "topic"), [((), "AlertTopic"), (("--operators",), "OpsTopic")])
@pytest.mark.parametrize("form", [LINK, "{token}", "  {token}\n"])
def test_an_address_is_subscribed_and_confirmed_so_that_no_link_ends_it(
    operated: Operated, sns: FakeSns, options: tuple[str, ...], topic: str, form: str
) -> None:
    ran = operated.run("subscribe", ADDRESS, *options)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "orderwatch subscriptions confirm 'LINK'")
    assert "not confirmed" in operated.run("subscriptions").out

    token = form.format(arn=arn_of(topic), token=f"token-of-{ADDRESS}")
    ran = operated.run("subscriptions", "confirm", token)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"confirmed: the address gets the messages of {topic}")
    [request] = sns.confirmed
    assert (request["TopicArn"], request["AuthenticateOnUnsubscribe"]) == (arn_of(topic), "true")

    [listed] = operated.json("subscriptions")
    assert (listed["topic"], listed["endpoint"], listed["state"]) == (topic, ADDRESS, "confirmed")
    assert listed["arn"] == f"{arn_of(topic)}:1"
    assert "subscribed to" in operated.run("subscribe", ADDRESS, *options).out


def test_list_names_what_a_mail_scanner_can_end(operated: Operated, sns: FakeSns) -> None:
    assert operated.run("subscriptions").out.startswith("nobody gets messages; subscribe an address with: ")
    sns.by_topic[arn_of("OpsTopic")] = [
        {"Protocol": "email", "Endpoint": ADDRESS, "SubscriptionArn": f"{arn_of('OpsTopic')}:1"}
    ]
    out = operated.run("subscriptions").out
    assert "confirmed by link" in out
    assert "Unsubscribe, then run:\norderwatch subscribe EMAIL\n" in out


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        (("subscriptions", "confirm", "wrong"), 1, "SNS refuses the token"),
        (("subscriptions", "confirm", LINK.format(arn="arn:other", token="x")), 1, "the link is of another stack"),
        (("subscriptions", "--json", "confirm", "x"), 2, "write --json after confirm"),
        (("subscribe", "nobody"), 2, "'nobody' is not an e-mail address"),
    ],
)
def test_a_wrong_token_or_address_is_an_error(
    operated: Operated, sns: FakeSns, typed: tuple[str, ...], code: int, says: str
) -> None:
    ran = operated.run(*typed)
    assert (ran.code, says in ran.err.replace("\n", " ")) == (code, True)
    assert sns.confirmed == []
