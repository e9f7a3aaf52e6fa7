"""The commands, one module for one command or a closely related pair, and the examples in their help."""

import typer
from typer.models import CommandInfo, TyperInfo

EXAMPLES: dict[str, tuple[str, ...]] = {
    "doctor": ("orderwatch doctor", "orderwatch doctor --json"),
    "connect": (
        'orderwatch connect conn_123 --name "Nordic Outdoor"',
        "orderwatch connect conn_123 < token.txt",
    ),
    "connect-trackstar": ("orderwatch connect-trackstar", "orderwatch connect-trackstar < api-key.txt"),
    "connect-slack": ("orderwatch connect-slack", "orderwatch connect-slack < webhook-url.txt"),
    "disconnect": ("orderwatch disconnect conn_123", "orderwatch disconnect conn_123 --yes"),
    "settings": (
        "orderwatch settings conn_123 --time-zone Europe/Berlin --holidays-of DE",
        "orderwatch settings conn_123 --working-days mon,tue,wed,thu,fri,sat --stuck-days 2",
    ),
    "shops": ("orderwatch shops", "orderwatch shops --status blocked", "orderwatch shops --json"),
    "orders": (
        "orderwatch orders",
        "orderwatch orders --shop conn_123 --status backordered",
        "orderwatch orders --limit 500 --json",
    ),
    "alerts": (
        "orderwatch alerts --since 36h",
        "orderwatch alerts --shop conn_123 --kind order.exception",
        "orderwatch alerts show 2c829bb9b086ea591bd42ab4f79fe763 --channel sms",
    ),
    "logs": (
        "orderwatch logs poll-orders",
        "orderwatch logs publish-alerts --since 1d --level warning",
        "orderwatch logs --alert 2c829bb9b086ea591bd42ab4f79fe763 --since 1d",
    ),
    "poll": ("orderwatch poll", "orderwatch poll conn_123 conn_456"),
    "redrive": ("orderwatch redrive", "orderwatch redrive --dead-letters SlackDeadLetterQueue"),
    "summary": ("orderwatch summary", "orderwatch summary --send", "orderwatch summary --json"),
    "test-alert": ("orderwatch test-alert", "orderwatch test-alert --status backordered --value 900"),
    "subscribe": ("orderwatch subscribe you@example.com", "orderwatch subscribe ops@example.com --operators"),
    "subscriptions": (
        "orderwatch subscriptions",
        "orderwatch subscriptions confirm 'https://sns.eu-west-1.amazonaws.com/confirmation.html?...'",
    ),
    "env-json": ("orderwatch env-json", "orderwatch env-json --into folder"),
    "demo": ("orderwatch demo", "orderwatch demo --seed 3 --pause 2"),
    "up": ("orderwatch up --demo", "orderwatch up --connection conn_123", "orderwatch up --connection conn_123 --json"),
    "shop": ("orderwatch shop", "orderwatch shop --hour 10"),
    "preview": ("orderwatch preview", "orderwatch preview --html preview.html"),
}
"""The examples of each command; a test parses all of them."""


def add_examples(app: typer.Typer) -> None:
    """Append the examples to the help of each command."""
    commands: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for command in commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        if lines := EXAMPLES.get(name):
            # Click does not wrap a paragraph that begins with \b.
            command.epilog = "\n".join(("\b", "Examples:", *(f"  {each}" for each in lines)))
