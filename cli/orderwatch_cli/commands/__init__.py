"""The commands, one module for one command or a closely related pair, with their groups and examples in the help."""

from dataclasses import dataclass

SET_UP, LOOK, ACT, TRY_IT = "Set up", "Look", "Act", "Try it"
"""The groups of the help."""


@dataclass(frozen=True)
class Entry:
    """A command in the list of the help.

    Attributes:
        group: The group that lists it.
        summary: The first line of its own help; repeated here, so that the list imports no command.
        source: The module, and the function or the Typer app with commands of its own.
    """

    group: str
    summary: str
    source: str

    @property
    def needs_checkout(self) -> bool:
        """Whether it is part of the package that only a checkout has."""
        return self.source.startswith(CHECKOUT_PACKAGE)


CHECKOUT_PACKAGE = "orderwatch_local"
_HERE = __name__
COMMANDS: dict[str, Entry] = {
    "connect-trackstar": Entry(SET_UP, "Store your Trackstar API key.", f"{_HERE}.connect:connect_trackstar"),
    "connect": Entry(SET_UP, "Watch a shop, or replace its token.", f"{_HERE}.connect:connect"),
    "connect-slack": Entry(SET_UP, "Store the URL of your Slack webhook.", f"{_HERE}.connect_slack:connect_slack"),
    "action-links": Entry(
        SET_UP, "Let people take or snooze an order from a message.", f"{_HERE}.action_links:action_links"
    ),
    "subscribe": Entry(SET_UP, "Send alerts to an e-mail address.", f"{_HERE}.subscriptions:subscribe"),
    "subscriptions": Entry(SET_UP, "List who gets messages.", f"{_HERE}.subscriptions:subscriptions"),
    "settings": Entry(SET_UP, "Show or change a shop's settings.", f"{_HERE}.settings:settings"),
    "disconnect": Entry(SET_UP, "Stop watching a shop.", f"{_HERE}.connect:disconnect"),
    "doctor": Entry(LOOK, "Check what alerts depend on.", f"{_HERE}.doctor:doctor"),
    "shops": Entry(LOOK, "List the shops and their health.", f"{_HERE}.shops:shops"),
    "orders": Entry(LOOK, "List orders that need attention.", f"{_HERE}.shops:orders"),
    "alerts": Entry(LOOK, "List alerts, or show one.", f"{_HERE}.alerts:alerts"),
    "summary": Entry(LOOK, "Show the backlog of all shops.", f"{_HERE}.summary:summary"),
    "logs": Entry(LOOK, "Show the logs of the functions.", f"{_HERE}.logs:logs"),
    "take": Entry(ACT, "Take orders, so that others know who works on them.", f"{_HERE}.ownership:take"),
    "snooze": Entry(ACT, "Snooze orders until a time, at which you are reminded.", f"{_HERE}.ownership:snooze"),
    "release": Entry(ACT, "Release orders that were taken or snoozed.", f"{_HERE}.ownership:release"),
    "poll": Entry(ACT, "Poll shops now.", f"{_HERE}.poll:poll"),
    "redrive": Entry(ACT, "Send overdue alerts.", f"{_HERE}.redrive:redrive"),
    "restore": Entry(ACT, "Restore the tables to an earlier time.", f"{_HERE}.restore:restore"),
    "test-alert": Entry(ACT, "Send a test alert.", f"{_HERE}.test_alert:send_test_alert"),
    "env-json": Entry(ACT, "Write files for `sam local invoke`.", f"{_HERE}.env_json:env_json"),
    "demo": Entry(TRY_IT, "Play a simulated day and show every alert.", f"{CHECKOUT_PACKAGE}.demo.command:demo"),
    "up": Entry(TRY_IT, "Watch your own shops from this machine.", f"{CHECKOUT_PACKAGE}.commands:up"),
    "shop": Entry(TRY_IT, "Serve three simulated shops.", f"{CHECKOUT_PACKAGE}.commands:shop"),
    "preview": Entry(TRY_IT, "Show an alert as each channel shows it.", f"{CHECKOUT_PACKAGE}.preview.command:preview"),
}
"""Every command, in the order of the help."""

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
        "orderwatch orders --unowned",
        "orderwatch orders --limit 500 --json",
    ),
    "alerts": (
        "orderwatch alerts --since 36h",
        "orderwatch alerts --shop conn_123 --kind order.exception",
        "orderwatch alerts show 2c829bb9b086ea591bd42ab4f79fe763 --channel sms",
    ),
    "logs": (
        "orderwatch logs poll-orders --follow",
        "orderwatch logs publish-alerts --since 1d --level warning",
        "orderwatch logs --alert 2c829bb9b086ea591bd42ab4f79fe763 --since 1d",
    ),
    "take": ("orderwatch take 1042", 'orderwatch take 1042 1043 --by Ana --note "asked the supplier"'),
    "snooze": ("orderwatch snooze 1042 --for 4h", 'orderwatch snooze 1042 --until "Mon 9:00"'),
    "release": ("orderwatch release 1042", "orderwatch release 1042 --shop conn_123"),
    "poll": ("orderwatch poll", "orderwatch poll conn_123 conn_456"),
    "redrive": ("orderwatch redrive", "orderwatch redrive --dead-letters SlackDeadLetterQueue"),
    "restore": (
        "orderwatch restore --to 2026-03-02T10:00Z --dry-run",
        "orderwatch restore --to 2026-03-02T10:00Z",
    ),
    "summary": ("orderwatch summary", "orderwatch summary --send", "orderwatch summary --json"),
    "test-alert": ("orderwatch test-alert", "orderwatch test-alert --status backordered --value 900"),
    "action-links": ("orderwatch action-links", "orderwatch action-links enable", "orderwatch action-links rotate"),
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
