"""The files that show each kind of alert in every channel.

After a wanted change of words: `python -m tests.unit.golden.samples` writes the files again; read the difference.
"""

import json
from collections.abc import Callable
from pathlib import Path

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import amazon_q, email, fallback, slack, sms, sns
from orderwatch_local.preview.samples import SAMPLES

FOLDER = Path(__file__).parent


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _slack(alert: Alert) -> str:
    message = slack.blocks(alert)
    return _pretty({"text": message.text, "blocks": message.blocks})


def _plain(alert: Alert) -> str:
    message = fallback.plain(alert)
    return f"Subject: {message.subject}\n\n{message.bodies['email']}"


CHANNELS: dict[str, Callable[[Alert], str]] = {
    "email.txt": lambda alert: f"Subject: {email.subject(alert)}\n\n{email.body(alert)}",
    "sms.txt": lambda alert: f"{sms.body(alert)}\n",
    "json": lambda alert: _pretty(json.loads(sns.json_body(alert))),
    "amazon_q.json": lambda alert: _pretty(amazon_q.notification(alert)),
    "slack.json": _slack,
    "fallback.txt": _plain,
}


def golden_file(kind: str, channel: str) -> Path:
    """Where the message of a kind in a channel is kept."""
    return FOLDER / f"{kind}.{channel}"


def write() -> None:
    """Write every golden file again."""
    for kind, alert in SAMPLES.items():
        for channel, render in CHANNELS.items():
            golden_file(kind, channel).write_text(render(alert), encoding="utf-8")


if __name__ == "__main__":
    write()
