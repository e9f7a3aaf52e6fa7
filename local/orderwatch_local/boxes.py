"""How a message is shown as its reader gets it: in a box on a terminal."""

from rich.console import Console
from rich.panel import Panel

from orderwatch_cli.output import printable_text
from orderwatch_local.inbox import Mail

WIDTH = 78
"""Columns of a box at most."""


def show_box(console: Console, mail: Mail, *, note: str | None = None) -> None:
    """Show a message.

    Args:
        console: Where to.
        mail: The message.
        note: What is said at the lower edge, such as who else gets it.
    """
    text, title = printable_text(mail.text.rstrip()), printable_text(mail.subject, "bold")
    title.overflow = "ellipsis"
    console.print(
        Panel(
            text,
            title=title,
            title_align="left",
            subtitle=note,
            subtitle_align="right",
            width=min(WIDTH, console.width),
            padding=(0, 1),
        )
    )
