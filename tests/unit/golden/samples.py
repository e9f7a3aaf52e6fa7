"""The files that show every kind of alert as an e-mail, and one kind of each shape in every other channel.

After a wanted change of words: `python -m tests.unit.golden.samples` writes the files again; read the difference.
"""

import json
from collections.abc import Callable
from pathlib import Path

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import amazon_q, email, fallback, slack, sms, sns
from orderwatch_local.preview.samples import SAMPLES

FOLDER = Path(__file__).parent
SHAPES = ("order.exception", "order.digest", "connection.blocked", "summary.daily")
"""One kind for each shape of message: about an order, many orders, a shop, all shops."""


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _slack(alert: Alert) -> str:
    message = slack.blocks(alert)
    return _pretty({"text": message.text, "blocks": message.blocks})


def _plain(alert: Alert) -> str:
    message = fallback.plain(alert)
    return f"Subject: {message.subject}\n\n{message.bodies['email']}"


EMAIL = "email.txt"
CHANNELS: dict[str, Callable[[Alert], str]] = {
    EMAIL: lambda alert: f"Subject: {email.subject(alert)}\n\n{email.body(alert)}",
    "sms.txt": lambda alert: f"{sms.body(alert)}\n",
    "json": lambda alert: _pretty(json.loads(sns.json_body(alert))),
    "amazon_q.json": lambda alert: _pretty(amazon_q.notification(alert)),
    "slack.json": _slack,
    "fallback.txt": _plain,
}


GOLDEN = [(kind, channel) for kind in SAMPLES for channel in CHANNELS if channel == EMAIL or kind in SHAPES]


def golden_file(kind: str, channel: str) -> Path:
    """Where the message of a kind in a channel is kept."""
    return FOLDER / f"{kind}.{channel}"


def write() -> None:
    """Write every golden file again."""
    for kind, channel in GOLDEN:
        golden_file(kind, channel).write_text(CHANNELS[channel](SAMPLES[kind]), encoding="utf-8")


if __name__ == "__main__":
    write()
