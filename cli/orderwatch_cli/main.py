"""The command line: the operator's commands, and the repository's where that is."""

import logging
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from orderwatch.errors import OrderwatchError
from orderwatch.observability import logger
from orderwatch_cli import commands, env_json_command, listings, settings_command, show
from orderwatch_cli.aws import AWS_ERRORS, explain
from orderwatch_cli.examples import add_examples
from orderwatch_cli.repository import repository_commands

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended."""

app = typer.Typer(
    help="Alerts for e-commerce orders that need a person.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _commands in (
    commands.app,
    listings.app,
    settings_command.app,
    env_json_command.app,
    repository_commands(),
):
    add_examples(_commands)
    app.add_typer(_commands)


def _show_version(*, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"orderwatch {version('orderwatch')}")
        raise typer.Exit


_VERSION = typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)


@app.callback()
def _options(*, version: Annotated[bool, _VERSION] = False) -> None:
    """What comes before a command."""


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(application: typer.Typer = app) -> NoReturn:
    """Run the command line; what is wrong is one line on stderr and exit code 1."""
    logger.setLevel(logging.CRITICAL)  # what the functions' code logs is for CloudWatch, and goes to stdout
    # SIGINT too: a shell starts background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    run(application=application)


def run(arguments: Sequence[str] | None = None, *, application: typer.Typer = app) -> NoReturn:
    """Run a command and leave with its exit code.

    Args:
        arguments: What is typed; None: what the process was started with.
        application: Whose commands.
    """
    try:
        application(arguments)
    except (OrderwatchError, TimeoutError) as error:
        typer.echo(show.printable(f"orderwatch: {error}"), err=True)
    except AWS_ERRORS as error:
        typer.echo(show.printable(f"orderwatch: {explain(error)}"), err=True)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        typer.echo(show.printable(f"orderwatch: {what}{error.strerror or error}"), err=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(1)
