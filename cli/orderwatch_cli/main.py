"""The command line: the operator's commands, and those of a checkout."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, NoReturn

import typer

from orderwatch.errors import OrderwatchError
from orderwatch.observability import logger
from orderwatch_cli import output
from orderwatch_cli.aws_errors import AWS_ERRORS, explain
from orderwatch_cli.commands import add_examples
from orderwatch_cli.commands.alerts import alerts
from orderwatch_cli.commands.connect import connect, connect_trackstar, disconnect
from orderwatch_cli.commands.connect_slack import connect_slack
from orderwatch_cli.commands.doctor import doctor
from orderwatch_cli.commands.env_json import env_json
from orderwatch_cli.commands.logs import logs
from orderwatch_cli.commands.poll import poll
from orderwatch_cli.commands.redrive import redrive
from orderwatch_cli.commands.settings import settings
from orderwatch_cli.commands.shops import orders, shops
from orderwatch_cli.commands.subscriptions import subscribe, subscriptions
from orderwatch_cli.commands.summary import summary
from orderwatch_cli.commands.test_alert import send_test_alert
from orderwatch_cli.terminal import adapt_to_terminal, discard_unwritable_output

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""
OPERATOR_COMMANDS: dict[str, Callable[..., None]] = {
    "doctor": doctor,
    "connect": connect,
    "connect-trackstar": connect_trackstar,
    "connect-slack": connect_slack,
    "disconnect": disconnect,
    "settings": settings,
    "shops": shops,
    "orders": orders,
    "logs": logs,
    "poll": poll,
    "redrive": redrive,
    "summary": summary,
    "test-alert": send_test_alert,
    "subscribe": subscribe,
    "env-json": env_json,
}
OPERATOR_GROUPS: dict[str, typer.Typer] = {"alerts": alerts, "subscriptions": subscriptions}
"""Commands that list by default and have commands of their own."""
CHECKOUT_COMMANDS = ("preview", "demo", "up", "shop")
"""Commands of the package `orderwatch_local`, which only a checkout has."""
_CHECKOUT_PACKAGE = "orderwatch_local"


class CheckoutMissingError(OrderwatchError):
    """A command needs a checkout, and only the command line is installed."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} needs a checkout of orderwatch: run `make setup` there, then .venv/bin/orderwatch {name}"
        )


def checkout_commands() -> typer.Typer:
    """Return the commands of a checkout, or hidden ones with the same names that explain what to do."""
    if find_spec(_CHECKOUT_PACKAGE) is None:
        return _substitutes()
    commands: typer.Typer = import_module(f"{_CHECKOUT_PACKAGE}.commands").app
    return commands


def _substitutes() -> typer.Typer:
    substitutes = typer.Typer(rich_markup_mode=None)
    any_arguments = {"ignore_unknown_options": True, "allow_extra_args": True}
    for name in CHECKOUT_COMMANDS:
        substitutes.command(name, hidden=True, add_help_option=False, context_settings=any_arguments)(_refuse)
    return substitutes


def _refuse(context: typer.Context) -> NoReturn:
    raise CheckoutMissingError(str(context.info_name))


app = typer.Typer(
    help="Alerts for e-commerce orders that need attention.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in OPERATOR_COMMANDS.items():
    app.command(_name)(_command)
for _name, _group in OPERATOR_GROUPS.items():
    app.add_typer(_group, name=_name)
_from_checkout = checkout_commands()
app.add_typer(_from_checkout)
add_examples(app)
add_examples(_from_checkout)


def _show_version(*, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"orderwatch {version('orderwatch')}")
        raise typer.Exit


_VERSION = typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)


@app.callback()
def _options(*, version: Annotated[bool, _VERSION] = False) -> None:
    """Declare the options that come before a command."""


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(application: typer.Typer = app) -> NoReturn:
    """Run the command line; an error is one line on stderr and exit code 1."""
    adapt_to_terminal()
    logger.setLevel(logging.CRITICAL)  # the layer's log lines are for CloudWatch and would go to stdout
    # SIGINT too: a shell starts background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    run(application=application)


def run(arguments: Sequence[str] | None = None, *, application: typer.Typer = app) -> NoReturn:
    """Run a command and exit with its code.

    Args:
        arguments: The command and its arguments; None: those of this process.
        application: The commands.
    """
    try:
        application(arguments)
    except (OrderwatchError, TimeoutError) as error:
        message = str(error)
    except AWS_ERRORS as error:
        message = explain(error)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        message = f"{file}{error.strerror or error}"
        discard_unwritable_output()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    typer.echo(output.printable(f"orderwatch: {message}"), err=True)
    sys.exit(1)
