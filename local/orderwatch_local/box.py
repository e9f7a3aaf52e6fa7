"""The box in which a message is shown on a terminal."""

from rich.console import Console, Group, RenderableType
from rich.panel import Panel

from orderwatch_cli.output import printable_text

WIDTH = 78
"""Maximum width in columns: the 72 of an e-mail, and the frame."""
_EDGES = len("╭─  ─╮")
"""Columns of the upper edge that a title cannot use."""


def show_box(console: Console, title: str, content: RenderableType, *, note: str | None = None) -> None:
    """Show a box with a title. Where the upper edge has no room for it, the title is the first line inside.

    Args:
        console: The terminal.
        title: The title.
        content: What is in the box.
        note: A note at the lower edge, such as who the message is for.
    """
    heading, width = printable_text(title, "bold"), min(WIDTH, console.width)
    fits = heading.cell_len + _EDGES <= width
    box = Panel(
        content if fits else Group(heading, "", content),
        title=heading if fits else None,
        title_align="left",
        subtitle=note,
        subtitle_align="right",
        width=width,
        padding=(0, 1),
    )
    console.print(box)
