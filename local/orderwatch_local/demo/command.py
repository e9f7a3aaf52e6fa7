"""`orderwatch demo`: plays a simulated day on a local cloud."""

from typing import Annotated

import typer
from rich.console import Console

from orderwatch_local.demo.run import run_demo


def demo(
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the scripted day.")] = 1,
    pause: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Pause after each simulated hour.")] = 0.0,
) -> None:
    """Play a simulated day and show every alert.

    Runs on a local cloud, with three simulated shops.
    """
    raise typer.Exit(0 if run_demo(Console(highlight=False), seed=seed, pause=pause) else 1)
