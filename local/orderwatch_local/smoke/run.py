"""`make smoke`: a new stack in an AWS account, or on a local cloud, watches a short day of a simulated shop.

It passes only if the delivered alerts are exactly the expected ones. It always deletes everything that it created. In
an account, it tests what a local cloud does not have: permissions of the roles, the Scheduler and quotas.
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
from orderwatch_cli.aws_errors import AWS_ERRORS, explain
from orderwatch_cli.main import main
from orderwatch_cli.output import printable_text
from orderwatch_local.cloud.account import Account
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.demo.run import timed
from orderwatch_local.smoke.day import play, shop_stack

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def smoke(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Use a new local cloud.")] = False,
) -> None:
    """Let a new stack watch a short simulated day, in the account or local cloud that the AWS environment names."""
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
        f"Account {account.id}, region {account.region}: create the stacks {name} and {shop_stack(name)},\n"
        "a bucket and three parameters, and delete them after about ten minutes? It costs a few cents."
    )


def run_smoke(console: Console, account: Account, name: str) -> bool:
    """Deploy, play the day, compare the alerts, and delete everything.

    Args:
        console: The terminal.
        account: The account to deploy to.
        name: The name of everything that is created: stacks, bucket, parameters.

    Returns:
        Whether every alert was delivered exactly once, and everything was deleted.
    """
    passed = False
    try:
        passed = _passes(console, account, name)
        if not passed:
            _show_refusals(console, account, name)
            _show_errors(console, account, name)
    finally:
        is_clean = _delete_all(console, account, name)
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
    """Show the reasons of resources that failed, one a line."""
    for stack_name in (shop_stack(name), name):
        for line in account.refusals(stack_name):
            _show(console, "refused", line)


def _show_errors(console: Console, account: Account, name: str) -> None:
    """Show the errors that the functions logged, missing permissions too, one a line."""
    try:
        for line in account.errors_logged(name):
            _show(console, "logged", line)
    except AWS_ERRORS as error:
        _show(console, "refused", explain(error))


def _delete_all(console: Console, account: Account, name: str) -> bool:
    """Delete everything that a run creates; the logs belong to the stacks.

    Returns:
        Whether everything was deleted. What was not is shown.
    """
    # The shop's stack comes second: the topics of the other stack send to its queues.
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
        _show(console, f"not deleted: {what}", explain(error))
        return False
    return True


if __name__ == "__main__":
    main(app)
