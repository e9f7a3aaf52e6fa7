"""`orderwatch subscribe` and `subscriptions`: who gets the messages of the two topics."""

import re
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import typer
from pydantic import BaseModel

from orderwatch.alerts.kinds import ALERT_TOPIC, OPS_TOPIC
from orderwatch.errors import OrderwatchError
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, calls_subcommand, stack_at
from orderwatch_cli.command_hints import Commands
from orderwatch_cli.stack import STACK_NAME, Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


class SubscribeError(OrderwatchError):
    """The subscription cannot be confirmed; the message says why and what to do."""


class Subscribed(BaseModel):
    """An address that was subscribed.

    Attributes:
        topic: `AlertTopic` or `OpsTopic`.
        email: The address.
        is_pending: Whether it is still to be confirmed.
    """

    topic: str
    email: str
    is_pending: bool


class ListedSubscription(BaseModel):
    """A subscription and its topic; the other attributes are those of `Subscription`.

    Attributes:
        topic: `AlertTopic` or `OpsTopic`.
    """

    topic: str
    arn: str
    protocol: str
    endpoint: str
    state: str
    has_open_link: bool
    filter_policy: dict[str, Any]


class Confirmed(BaseModel):
    """A subscription that was confirmed.

    Attributes:
        topic: `AlertTopic` or `OpsTopic`.
        arn: SNS's name of the subscription.
    """

    topic: str
    arn: str


def _check_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is not an e-mail address")
    return value


_Email = typer.Argument(metavar="EMAIL", help="E-mail address.", callback=_check_address)
_Token = typer.Argument(metavar="TOKEN", help="Link of the e-mail from SNS in quotes, or the Token= part of it.")


def subscribe(
    email: Annotated[str, _Email],
    *,
    operators: Annotated[
        bool, typer.Option("--operators", help="Send what operators get (OpsTopic) instead of alerts (AlertTopic).")
    ] = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Send alerts to an e-mail address.

    SNS asks the address to confirm. Confirm with `subscriptions confirm`: after a click on the link, every message has
    an unsubscribe link that works without a sign-in, and mail scanners follow links.
    """
    topic = OPS_TOPIC if operators else ALERT_TOPIC
    with stack_at(stack_name, endpoint_url) as stack:
        arn = topics_of(stack)[topic]
        subscribed = stack.aws.sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=email)
        confirm = _confirm_command(stack.commands)
    # For an address that is confirmed already, SNS returns the ARN of its subscription.
    result = Subscribed(topic=topic, email=email, is_pending=not subscribed["SubscriptionArn"].startswith("arn:"))
    if json:
        output.document(result)
    elif result.is_pending:
        output.line(f"SNS has sent {email} an e-mail. Do not follow its link. Copy the link and run:")
        output.line(confirm, to_copy=True)
    else:
        output.line(f"{email} is subscribed to {topic} already")


subscriptions = typer.Typer(rich_markup_mode=None)


@subscriptions.callback(invoke_without_command=True)
def list_subscriptions(
    context: typer.Context,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """List who gets messages.

    The command `confirm` confirms a subscription.
    """
    if calls_subcommand(context):
        return
    with stack_at(stack_name, endpoint_url) as stack:
        listed = [(topic, each) for topic, arn in topics_of(stack).items() for each in subscriptions_of(stack.aws, arn)]
        subscribe_command, confirm = stack.commands.own("subscribe EMAIL"), _confirm_command(stack.commands)
    if json:
        output.document([_listed(topic, each) for topic, each in listed])
        return
    rows = [(topic, each.protocol, each.endpoint, each.state, each.filter_text) for topic, each in listed]
    columns = ("topic", "channel", "address", "state", "filter policy")
    empty = f"nobody gets messages; subscribe an address with: {subscribe_command}"
    output.table(columns, rows, empty=empty, flexible=("filter policy",))
    if any(each.is_pending and each.is_email for _, each in listed):
        output.line("Confirm with the link in the e-mail from SNS:")
        output.line(confirm, to_copy=True)
    if any(each.has_open_link for _, each in listed):
        output.line(
            "A mail scanner that follows the unsubscribe link of a message ends a subscription that was confirmed by "
            "link. Unsubscribe, then run:"
        )
        output.line(subscribe_command, to_copy=True)


def _listed(topic: str, found: Subscription) -> ListedSubscription:
    return ListedSubscription(
        topic=topic,
        arn=found.arn,
        protocol=found.protocol,
        endpoint=found.endpoint,
        state=found.state,
        has_open_link=found.has_open_link,
        filter_policy=found.filter_policy,
    )


@subscriptions.command("confirm")
def confirm_subscription(
    token: Annotated[str, _Token],
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Confirm a subscription by its link.

    Afterwards it can be ended only by someone who is signed in to AWS. A mail scanner cannot end it.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        confirmed = confirm(stack, token)
    if json:
        output.document(confirmed)
        return
    output.line(f"confirmed: the address gets the messages of {confirmed.topic}")
    output.line("A link in an e-mail cannot end this subscription.")


def confirm(stack: Stack, token: str) -> Confirmed:
    """Confirm a subscription of one of the stack's topics.

    Args:
        stack: The stack.
        token: SNS's link, or the token in it.

    Raises:
        SubscribeError: SNS refuses the token, or the link is that of another topic.
    """
    topics, (topic_arn, token) = topics_of(stack), _parts_of(token)
    if topic_arn and topic_arn not in topics.values():
        raise SubscribeError(f"the link is of another stack: {topic_arn}; select its stack with --stack-name")
    sns = stack.aws.sns
    refusals = (sns.exceptions.InvalidParameterException, sns.exceptions.NotFoundException)
    for topic, arn in topics.items():
        if topic_arn in {"", arn}:  # a token alone does not name its topic
            try:
                answer = sns.confirm_subscription(TopicArn=arn, Token=token, AuthenticateOnUnsubscribe="true")
            except refusals:
                continue
            return Confirmed(topic=topic, arn=answer["SubscriptionArn"])
    again = stack.commands.own("subscribe EMAIL")
    raise SubscribeError(
        f"SNS refuses the token: copy the whole link; it is valid for two days, request another: {again}"
    )


def topics_of(stack: Stack) -> dict[str, str]:
    """Return the ARN of each topic by its name."""
    return {ALERT_TOPIC: stack.outputs.alert_topic_arn, OPS_TOPIC: stack.outputs.ops_topic_arn}


def _parts_of(text: str) -> tuple[str, str]:
    """Return the topic's ARN, if the text is a link, and the token."""
    values = parse_qs(urlsplit(text.strip()).query)
    return values.get("TopicArn", [""])[0], values.get("Token", [text.strip()])[0]


def _confirm_command(commands: Commands) -> str:
    return commands.own("subscriptions confirm 'LINK'")
