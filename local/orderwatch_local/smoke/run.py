"""`make smoke`: a stack of its own in a real account, or on a local cloud, watches a short day of a simulated shop.

It passes only if what was delivered is exactly what the day made visible, and whatever happens it takes all that it
made away again. In an account it tries what a local cloud cannot show: every role's permissions, the Scheduler, quotas.
"""

import secrets
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orderwatch.errors import OrderwatchError
from orderwatch_cli.aws import AWS_ERRORS, explain
from orderwatch_cli.main import main
from orderwatch_cli.show import printable_text
from orderwatch_local.cloud.account import Account
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.demo.run import timed
from orderwatch_local.smoke.day import play, shop_stack

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def smoke(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before an account is touched.")] = False,
    local: Annotated[bool, typer.Option("--local", help="On a local cloud of its own.")] = False,
) -> None:
    """Play a short day to a new stack in the account, or the local cloud, that the AWS environment names."""
    name = f"orderwatch-smoke-{secrets.token_hex(4)}"
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
        endpoint_url = opened.enter_context(LocalCloud()).endpoint if local else None
        account = opened.enter_context(Account(scratch, endpoint_url=endpoint_url))
        if not (yes or account.is_local):
            typer.confirm(_question(account, name), abort=True)
        passed = run_smoke(Console(highlight=False), account, name)
    raise typer.Exit(0 if passed else 1)


def _question(account: Account, name: str) -> str:
    return (
        f"Account {account.id}, region {account.region}: make the stacks {name} and {shop_stack(name)},\n"
        "a bucket and three parameters, and delete them all after about ten minutes? It costs a few cents."
    )


def run_smoke(console: Console, account: Account, name: str) -> bool:
    """Deploy, play the day, compare, and take everything away.

    Args:
        console: Where to show it.
        account: Where to do it.
        name: How everything that is made is called: stacks, bucket, parameters.

    Returns:
        Whether every alert came, each once, and nothing stayed behind.
    """
    passed = False
    try:
        passed = _passes(console, account, name)
        if not passed:
            _show_refusals(console, account, name)
            _show_errors(console, account, name)
    finally:
        is_clean = _put_away(console, account, name)
    return passed and is_clean


def _passes(console: Console, account: Account, name: str) -> bool:
    try:
        return play(console, account, name)
    except (OrderwatchError, TimeoutError, *AWS_ERRORS) as error:
        _show(console, "failed", explain(error))
        return False


def _show(console: Console, what: str, why: str) -> None:
    console.print(printable_text(f"{what}: {why}", "red"), soft_wrap=True)


def _show_refusals(console: Console, account: Account, name: str) -> None:
    """What the account refused to the stacks, one line each."""
    for stack_name in (shop_stack(name), name):
        for line in account.refusals(stack_name):
            _show(console, "refused", line)


def _show_errors(console: Console, account: Account, name: str) -> None:
    """What the functions complain of, one line each: permissions that they lack too."""
    try:
        for line in account.errors_logged(name):
            _show(console, "logged", line)
    except AWS_ERRORS as error:
        _show(console, "refused", explain(error))


def _put_away(console: Console, account: Account, name: str) -> bool:
    """Delete all that a run makes, as far as it was made; logs go with the stacks.

    Returns:
        Whether nothing stayed behind; what did is shown.
    """
    # The shop last: the topics of the other stack hand their messages to its queues.
    steps: dict[str, Callable[[], None]] = {
        f"stack {name}": lambda: account.delete_stack(name),
        f"stack {shop_stack(name)}": lambda: account.delete_stack(shop_stack(name)),
        f"tables {name}-*": lambda: account.delete_tables(f"{name}-"),
        f"parameters /{name}": lambda: account.delete_parameters(f"/{name}"),
        f"bucket {name}": lambda: account.delete_bucket(name),
    }
    left = [what for what, delete in steps.items() if not _is_deleted(console, what, delete)]
    if left:
        _show_refusals(console, account, name)
    return not left


def _is_deleted(console: Console, what: str, delete: Callable[[], None]) -> bool:
    try:
        with timed(console, f"delete {what}"):
            delete()
    except (OrderwatchError, *AWS_ERRORS) as error:
        _show(console, f"left behind: {what}", explain(error))
        return False
    return True


if __name__ == "__main__":
    main(app)
