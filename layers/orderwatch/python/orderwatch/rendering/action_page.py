"""The page of an action link: HTML that needs no script, no cookie and nothing from another server."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from orderwatch.rendering.formatting import clean, clip

MAX_TEXT = 300
"""Maximum characters of one text from a shop or a person."""

STYLE = """
:root { color-scheme: light dark; --text: #1a1d21; --muted: #555c66; --page: #f6f7f9; --card: #fff; --line: #8a919c;
  --accent: #1c5fb0; --on-accent: #fff; --notice: #e8f0fb; --error: #a4161a; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --muted: #a9b0ba; --page: #14161a; --card: #1e2127;
  --line: #767e8a; --accent: #8ab8f5; --on-accent: #10141a; --notice: #22304a; --error: #ff9b9b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 1.25rem 1rem 2rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
p { margin: 0 0 1rem; }
dl { margin: 0 0 1rem; padding: .5rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
dt { color: var(--muted); font-size: .9rem; margin-top: .5rem; }
dd { margin: 0 0 .5rem; }
.notice { padding: .75rem 1rem; background: var(--notice); border-radius: .5rem; }
.error { color: var(--error); font-weight: 600; }
label { display: block; font-weight: 600; margin-bottom: .25rem; }
input, button { width: 100%; min-height: 3rem; padding: .5rem .75rem; font: inherit; border-radius: .5rem;
  border: 1px solid var(--line); background: var(--card); color: inherit; }
button { margin-top: .75rem; font-weight: 600; text-align: left; cursor: pointer; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""
_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{_STYLE_HASH}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
"""The page shows what the link's holder may see, so nobody else may keep, frame or find it."""

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
</body>
</html>
""")
_FORM = Template("""<form method="post" accept-charset="utf-8">
<input type="hidden" name="seen" value="$seen">
<label for="name">Your name</label>
$error<input id="name" name="name" value="$name" maxlength="80" autocomplete="name" required$invalid>
<button class="primary" name="do" value="take">$take</button>
$groups</form>""")


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what people read, and what it sends as `do`."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Form:
    """What people can do with the order.

    Attributes:
        seen: What the page shows, as a fingerprint, so that no action is based on something older.
        name: The name that was typed before.
        error: Why the name is invalid, if it is.
        is_taken: Whether somebody has the order.
        snoozes: The ends of a snooze to choose from.
        can_release: Whether the order is taken or snoozed.
    """

    seen: str
    name: str
    error: str | None
    is_taken: bool
    snoozes: Sequence[Choice]
    can_release: bool


@dataclass(frozen=True, slots=True)
class ActionPage:
    """A page: what happened, what is known about the order, what can be done.

    Attributes:
        title: Its heading.
        notice: What happened, or why nothing did.
        facts: Labels and values.
        form: None: nothing can be done.
    """

    title: str
    notice: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    form: Form | None = None

    def html(self) -> str:
        """The whole document; every text is escaped."""
        notice = [f'<p class="notice" role="status">{_text(self.notice)}</p>'] if self.notice else []
        rows = [f"<dt>{_text(label)}</dt><dd>{_text(value)}</dd>" for label, value in self.facts]
        facts = [f"<dl>{''.join(rows)}</dl>"] if rows else []
        form = [_form(self.form)] if self.form else []
        return _PAGE.substitute(title=_text(self.title), style=STYLE, body="\n".join([*notice, *facts, *form]))


def _text(text: str) -> str:
    return escape(clip(clean(text), MAX_TEXT))


def _form(form: Form) -> str:
    snoozes = "".join(_button(each) for each in form.snoozes)
    release = f"<h2>Release</h2>\n{_button(Choice('Release the order', 'release'))}" if form.can_release else ""
    error = f'<p class="error" id="name-error" role="alert">{_text(form.error)}</p>\n' if form.error else ""
    return _FORM.substitute(
        seen=escape(form.seen),
        error=error,
        name=escape(form.name),
        invalid=' aria-invalid="true" aria-describedby="name-error"' if error else "",
        take="Take it over" if form.is_taken else "Take the order",
        groups=f"<h2>Snooze reminders</h2>\n{snoozes}{release}",
    )


def _button(choice: Choice) -> str:
    """A button that needs no name."""
    return f'<button name="do" value="{escape(choice.value)}" formnovalidate>{_text(choice.label)}</button>\n'
