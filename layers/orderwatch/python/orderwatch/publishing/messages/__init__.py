"""What people and machines receive: one module a channel, pure functions of an alert.

`slack` is for the function that posts to Slack and is imported there alone: it needs Slack's library.
"""

from orderwatch.alerts.alert import Alert
from orderwatch.publishing.messages.plain import plain
from orderwatch.publishing.messages.sns import Attribute, SnsMessage, render

__all__ = ["Attribute", "SnsMessage", "plain", "render", "render_or_plain"]


def render_or_plain(alert: Alert) -> tuple[SnsMessage, Exception | None]:
    """The alert in full, else the plain one with the error that was in the way (rule 11)."""
    try:
        return render(alert), None
    except Exception as error:  # noqa: BLE001 - a bug in a template must not cost an alert
        return plain(alert), error
