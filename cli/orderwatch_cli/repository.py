"""The commands that need the repository: they are there when its package is, else one line says where to find them.

This is the only place that knows of orderwatch_local, by name and only if it can be imported.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

import typer

from orderwatch.errors import OrderwatchError

NAMES = ("preview", "demo", "up", "shop")
_PACKAGE = "orderwatch_local"


class RepositoryMissingError(OrderwatchError):
    """A command of the repository was typed where only the command line is installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} needs a checkout of orderwatch: `make setup` in it, then .venv/bin/orderwatch {name}")


def repository_commands() -> typer.Typer:
    """The repository's commands, or one of each name that says what to do."""
    if find_spec(_PACKAGE) is None:
        return _substitutes()
    commands: typer.Typer = import_module(f"{_PACKAGE}.commands").app
    return commands


def _substitutes() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)
    takes_anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    for name in NAMES:
        app.command(name, hidden=True, add_help_option=False, context_settings=takes_anything)(_refuse)
    return app


def _refuse(context: typer.Context) -> NoReturn:
    raise RepositoryMissingError(str(context.info_name))
