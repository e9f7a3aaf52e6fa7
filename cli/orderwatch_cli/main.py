"""The command line: the operator's commands, and those of a checkout."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from orderwatch.errors import OrderwatchError
from orderwatch_cli.command_group import HELP_OPTIONS, CommandGroup
from orderwatch_cli.terminal import adapt_to_terminal, discard_unwritable_output, reader_may_leave

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""

app = typer.Typer(
    cls=CommandGroup,
    help="Alerts for e-commerce orders that need attention.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": HELP_OPTIONS},
)


def _show_version(*, is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"orderwatch {version('orderwatch')}")
        raise typer.Exit


_VERSION = typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)


@app.callback()
def _options(*, version: Annotated[bool, _VERSION] = False) -> None:
    """Declare the options that come before a command."""


def _handle_interrupts(handler: Any) -> None:
    # SIGINT too: a shell starts background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _interrupt(*_: object) -> NoReturn:
    _handle_interrupts(_end)
    raise KeyboardInterrupt


def _end(*_: object) -> NoReturn:
    """End the process at once, after a second interrupt; its children end with it.

    SIG_DFL would end it too, but Python reports a signal that arrives in the moment in which it is set.
    """
    os._exit(INTERRUPTED)


def main(application: typer.Typer = app) -> NoReturn:
    """Run the command line; an error is one line on stderr and exit code 1."""
    adapt_to_terminal()
    logging.disable()  # the layer's log lines are for CloudWatch and would go to stdout
    _handle_interrupts(_interrupt)
    try:
        run(application=application)
    finally:
        _handle_interrupts(signal.SIG_DFL)


def run(arguments: Sequence[str] | None = None, *, application: typer.Typer = app) -> NoReturn:
    """Run a command and exit with its code.

    Args:
        arguments: The command and its arguments; None: those of this process.
        application: The commands.
    """
    try:
        with reader_may_leave():
            application(arguments)
    except SystemExit:
        raise  # before the errors below, which take long to import
    except (OrderwatchError, TimeoutError) as error:
        message = str(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - raised again if it is a bug
        message = _described(error)
    _fail(message)


def _described(error: Exception) -> str:
    """Describe an error in one line, with a remedy.

    Raises:
        Exception: The error is a bug.
    """
    from pydantic import ValidationError

    from orderwatch_cli.aws_errors import AWS_ERRORS, explain

    if isinstance(error, AWS_ERRORS):
        return explain(error)
    if isinstance(error, ValidationError):
        return "the stack's answer has another form: deploy the release of orderwatch that this command line has"
    if not isinstance(error, OSError):
        raise error
    discard_unwritable_output()
    file = f"{error.filename}: " if error.filename else ""
    return f"{file}{error.strerror or error}"


def _fail(message: str) -> NoReturn:
    from orderwatch_cli.output import printable

    typer.echo(printable(f"orderwatch: {message}"), err=True)
    sys.exit(1)
