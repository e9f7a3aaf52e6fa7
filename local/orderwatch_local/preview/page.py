"""What an alert looks like in each channel, as one self-contained HTML page."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Urgency
from orderwatch.rendering import amazon_q, email, formatting, slack, sms, sns
from orderwatch_cli.output import printable_json
from orderwatch_local.preview.mrkdwn import Span, Style, spans, text_spans
from orderwatch_local.preview.samples import PICTURES, SAMPLES

_PAGE = Path(__file__).with_name("page.html")
_ALERT = Path(__file__).with_name("alert.html")
_ADDRESS = re.compile(r"https?://\S+")
_TAGS = {Style.BOLD: "b", Style.ITALIC: "i", Style.STRIKE: "s", Style.CODE: "code"}
_AVATAR = (
    '<svg class="avatar" viewBox="0 0 36 36"><path d="M9 14l9-5 9 5v9l-9 5-9-5zm0 0l9 5 9-5m-9 5v9" fill="none" '
    'stroke="#fff" stroke-width="2" stroke-linejoin="round"/></svg>'
)
_FOOTER = """--
If you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:
https://sns.eu-central-1.amazonaws.com/unsubscribe.html

Please do not reply directly to this email. If you have any questions or comments regarding this email, please \
contact us at https://aws.amazon.com/support"""
"""The footer that SNS adds to each e-mail."""
_PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 88"><rect width="88" height="88" fill="#e8eaee"/>'
    '<path d="M20 66 38 42l11 13 8-9 13 20z" fill="#b6bcc8"/><circle cx="58" cy="30" r="7" fill="#b6bcc8"/></svg>'
)


def page(*alerts: Alert) -> str:
    r"""Return the page, with every channel of each alert.

    Text of an alert is escaped; control, invisible and text-direction characters are shown as in JSON (`\u202e`). The
    page loads nothing: drawings replace the pictures.
    """
    kinds = [escape(_name(alert)) for alert in alerts]
    parts = {
        "title": kinds[0] if len(kinds) == 1 else "every kind",
        "nav": "".join(f'<a href="#{kind}">{kind}</a>' for kind in kinds) if len(kinds) > 1 else "",
        "alerts": "".join(_alert(alert) for alert in alerts),
    }
    return printable_json(_filled(_PAGE.read_text(encoding="utf-8"), parts))


def _alert(alert: Alert) -> str:
    text_message, urgency = sms.body(alert), formatting.urgency(alert)
    zone = formatting.zone_of(alert.connection)
    parts = {
        "kind": escape(_name(alert)),
        "severity": escape(alert.severity),
        "urgency": escape(urgency),
        "hurry": "due soon" if urgency is Urgency.SOON else escape(urgency),
        "avatar": _AVATAR,
        "subject": escape(email.subject(alert)),
        "email": _linked(email.body(alert).rstrip()),
        "footer": _linked(_FOOTER),
        "slack": "".join(_block(block, zone) for block in slack.blocks(alert).blocks),
        "chat": _notification(amazon_q.notification(alert)["content"]),
        "sms": _linked(text_message),
        "sms_length": str(len(text_message)),
        "time": f"{at.astimezone(zone):%H:%M}" if (at := _sent_at(alert)) else "",
        "json": escape(json.dumps(json.loads(sns.json_body(alert)), ensure_ascii=False, indent=2)),
    }
    return _filled(_ALERT.read_text(encoding="utf-8"), parts)


def _sent_at(alert: Alert) -> datetime | None:
    built_at = alert.summary.at if alert.summary else None
    return built_at or formatting.seen_at(alert) or alert.data_as_of


def _name(alert: Alert) -> str:
    """The name of a sample, else the kind of the alert."""
    return next((name for name, sample in SAMPLES.items() if sample is alert), alert.kind)


def _notification(content: Mapping[str, Any]) -> str:
    """Render a custom notification as Amazon Q shows it in Slack."""
    steps = "".join(f"<p>{_mrkdwn(step)}</p>" for step in content["nextSteps"])
    keywords = ", ".join(map(_mrkdwn, content["keywords"]))
    said = f"<h2>{_mrkdwn(content['title'])}</h2><p>{_mrkdwn(content['description'])}</p>"
    return f'{said}<div class="context"><p>Next steps</p></div>{steps}<div class="context"><p>{keywords}</p></div>'


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Fill each `{{name}}` of the template, in one pass, so that inserted text is never filled."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _linked(text: str) -> str:
    """Return the escaped text, with its URLs as links."""
    shown, end = "", 0
    for match in _ADDRESS.finditer(text):
        address = escape(match[0])
        shown += f'{escape(text[end : match.start()])}<a href="{address}">{address}</a>'
        end = match.end()
    return shown + escape(text[end:])


def _block(block: dict[str, Any], zone: tzinfo) -> str:
    """Render one block of Block Kit, for a reader in this time zone."""
    match block["type"]:
        case "header":
            return f"<h2>{_text(block['text'], zone)}</h2>"
        case "section" if "fields" in block:
            return f'<div class="fields">{"".join(f"<p>{_text(each, zone)}</p>" for each in block["fields"])}</div>'
        case "section":
            return f'<div class="section"><p>{_text(block["text"], zone)}</p>{_picture(block.get("accessory"))}</div>'
        case "actions":
            return f'<div class="actions">{"".join(_button(each) for each in block["elements"])}</div>'
        case _:
            return f'<div class="context">{"".join(f"<p>{_text(each, zone)}</p>" for each in block["elements"])}</div>'


def _mrkdwn(markup: str) -> str:
    return _shown(spans(markup))


def _text(text: Mapping[str, str], zone: tzinfo) -> str:
    return _shown(text_spans(text, zone))


def _shown(parsed: Iterable[Span]) -> str:
    return "".join(map(_span, parsed)).replace("\n", "<br>")


def _span(span: Span) -> str:
    text = escape(span.text)
    if span.style is Style.LINK:
        return f'<a href="{escape(span.url)}">{text}</a>'
    tag = _TAGS.get(span.style)
    return f"<{tag}>{text}</{tag}>" if tag else text


def _picture(accessory: dict[str, Any] | None) -> str:
    if accessory is None:
        return ""
    drawing = quote(PICTURES.get(accessory["image_url"], _PLACEHOLDER))
    return f'<img src="data:image/svg+xml,{drawing}" alt="{escape(accessory["alt_text"])}">'


def _button(element: dict[str, Any]) -> str:
    return f'<a class="button" href="{escape(element["url"])}">{escape(element["text"]["text"])}</a>'
