"""The list of commands, each imported when it is used, and their help: plain text without types of Python."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from orderwatch.errors import OrderwatchError
from orderwatch_cli.commands import CHECKOUT_PACKAGE, COMMANDS, EXAMPLES

if TYPE_CHECKING:
    _AnyCommand = TyperCommand
else:
    _AnyCommand = object
_ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}
HELP_OPTIONS = ["-h", "--help"]


class CheckoutMissingError(OrderwatchError):
    """A command needs a checkout, and only the command line is installed."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} needs a checkout of orderwatch: run `make setup` there, then .venv/bin/orderwatch {name}"
        )


class _PlainCommand(_AnyCommand):
    """A command whose help shows names of values instead of types, and whose errors are in plain words."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Name a required argument without braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the arguments and the options."""
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [each.get_help_record(ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            if rows := [(_without_type(name, kind), text) for name, text in filter(None, records)]:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; a value that has the wrong type is described in plain words."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if flaws := getattr(error.__cause__, "errors", None):
                error.message = import_module("orderwatch.model").in_words(flaws()[0])
            raise


class Command(_PlainCommand, TyperCommand):
    """A command without commands of its own."""


class ListingCommand(_PlainCommand, TyperGroup):
    """A command that lists by default, and has commands of its own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the options and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _without_type(name: str, kind: str) -> str:
    return name.partition(" ")[0] if kind == "argument" else name.replace("<", "").replace(">", "")


class CommandGroup(TyperGroup):
    """The commands of `COMMANDS` in their groups."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("dict[str, Any]", LazyCommands())

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer passes it
        """Return the names; without a checkout, only those of the commands that need none."""
        return [name for name, entry in COMMANDS.items() if has_checkout() or not entry.needs_checkout]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by group, with whole summaries."""
        names = self.list_commands(ctx)
        longest = max(map(len, names))
        for group, members in groupby(names, key=lambda name: COMMANDS[name].group):
            with formatter.section(group):
                formatter.write_dl([(f"{name:<{longest}}", COMMANDS[name].summary) for name in members])


class LazyCommands(Mapping[str, Any]):
    """The commands by name; the module of a command is imported at the first access."""

    def __getitem__(self, name: str) -> Any:
        return _needing_checkout(name) if COMMANDS[name].needs_checkout and not has_checkout() else _loaded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def has_checkout() -> bool:
    """Whether the package of a checkout can be imported."""
    return find_spec(CHECKOUT_PACKAGE) is not None


@cache
def _loaded(name: str) -> Any:
    module, _, attribute = COMMANDS[name].source.partition(":")
    return _command(name, getattr(import_module(module), attribute))


def _needing_checkout(name: str) -> Any:
    return _command(name, _refuse, add_help_option=False, context_settings=_ANY_ARGUMENTS)


def _refuse(context: typer.Context) -> NoReturn:
    raise CheckoutMissingError(str(context.info_name))


def _command(name: str, source: Any, **settings: Any) -> Any:
    # Click does not wrap a paragraph that begins with \b.
    examples = "\n".join(("\b", "Examples:", *(f"  {each}" for each in EXAMPLES[name])))
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    # A command keeps the help option of its first use, which may be outside the group.
    context = {"help_option_names": HELP_OPTIONS, **settings.pop("context_settings", {})}
    if not isinstance(source, typer.Typer):
        alone.command(name, cls=Command, epilog=examples, context_settings=context, **settings)(source)
        return get_command(alone)
    for own in source.registered_commands:
        own.cls, own.context_settings = Command, context
    alone.add_typer(
        source,
        name=name,
        cls=ListingCommand,
        epilog=examples,
        subcommand_metavar="[COMMAND] [ARGS]...",
        context_settings=context,
    )
    return get_group(alone).commands[name]
