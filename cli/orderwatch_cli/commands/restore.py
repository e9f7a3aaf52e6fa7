"""`orderwatch restore`: takes the rows of an earlier time into the live tables.

Polls are paused while rows are written: a poll that reads with an old cursor and newer orders, or the other way
round, would pass changes without an alert. Alerts are sent meanwhile as ever.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.rendering.formatting import plural
from orderwatch_cli import output
from orderwatch_cli.arguments import MOMENT_EXAMPLES, Endpoint, Json, StackName, confirm, since_moment, stack_at
from orderwatch_cli.restored_copies import RestoredCopy, add_missing_rows, replace_rows
from orderwatch_cli.stack import STACK_NAME, Function, Stack
from orderwatch_cli.triggers import set_event_source, set_schedule

TABLES = ("ConnectionTable", "OrderTable", "AlertTable")
"""The restored tables, in the order of writing.

The connections come first: a poll that still runs cannot write any more when their revision has changed.
"""
SCHEDULES = ("DispatchPollsFunctionPollSchedule", "SendSummaryFunctionSchedule")
POLLS = "PollOrdersFunctionPollQueue"
CHECK_EVERY = 5.0
"""Seconds between two looks at an event source mapping that is being disabled."""


class Plan(BaseModel):
    """What a restore will do.

    Attributes:
        to: The time.
        copies: The temporary tables, by the template's name of the live table.
        paused: The schedules and event source mappings that are paused, and enabled at the end.
    """

    to: datetime
    copies: dict[str, str]
    paused: list[str]


class RestoredTable(BaseModel):
    """A restored table.

    Attributes:
        table: The template's name of the table.
        rows: Rows that it had at that time.
        written: Rows that were written.
    """

    table: str
    rows: int
    written: int


class Restored(BaseModel):
    """The result of a restore.

    Attributes:
        to: The time.
        tables: What was restored.
        pending: Restored alerts that had not been sent at that time; they are sent now.
    """

    to: datetime
    tables: list[RestoredTable]
    pending: int


def restore(
    to: Annotated[str, typer.Option("--to", metavar="TIME", help=f"Time to restore: {MOMENT_EXAMPLES}.")],
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    json: Json = False,
) -> None:
    """Restore the tables to an earlier time.

    Restores orders and cursors as they were, and alerts that are missing. Alerts that were sent stay sent. Shops are
    then read again from that time. After an interruption, run the printed command.
    """
    say: Callable[[str], None] = (lambda _: None) if json else output.line
    with stack_at(stack_name, endpoint_url) as stack:
        copies = copies_at(stack, since_moment(to).replace(microsecond=0))
        for copy in copies:
            copy.check(stack.aws.dynamodb)
        plan = plan_of(stack, copies)
        _show(plan, say)
        if dry_run:
            if json:
                output.document(plan)
            return
        if not yes:
            confirm(f"restore {stack.name} to {_utc(plan.to)}?")
        restored = restore_tables(stack, copies, say)
    if json:
        output.document(restored)
        return
    output.line(f"restored {stack.name} to {_utc(restored.to)}; polls run again and read what changed since then")


def copies_at(stack: Stack, at: datetime) -> list[RestoredCopy]:
    """The copies that a restore to a time needs, in the order of writing."""
    return [RestoredCopy(name, stack.resources[name].id, at) for name in TABLES]


def plan_of(stack: Stack, copies: list[RestoredCopy]) -> Plan:
    """What a restore does."""
    return Plan(
        to=copies[0].at,
        copies={copy.logical_id: copy.name for copy in copies},
        paused=[name for name in (*SCHEDULES, POLLS) if name in stack.resources],
    )


def _show(plan: Plan, say: Callable[[str], None]) -> None:
    say(f"Restore to {_utc(plan.to)}:")
    for live, copy in plan.copies.items():
        say(f"- create {copy} from {live}, a temporary table")
    say(f"- when they are ready, pause {', '.join(plan.paused)}")
    say("- replace rows of ConnectionTable and OrderTable that differ; add rows that AlertTable lacks; delete no row")
    say("- enable what was paused, and delete the temporary tables")


def restore_tables(stack: Stack, copies: list[RestoredCopy], say: Callable[[str], None]) -> Restored:
    """Create the copies, pause the polls, take the rows, and start the polls again.

    If it is interrupted, polls stay paused until another run has ended: tables that are restored in part must not be
    read.
    """
    client = stack.aws.dynamodb
    say(f"If this is interrupted, continue with: {stack.commands.own(f'restore --to {_utc(copies[0].at)}')}")
    for copy in copies:
        say(f"{'creating' if copy.create(client) else 'found'} {copy.name}")
    say("Waiting for the copies. This takes minutes to hours; polls still run.")
    for copy in copies:
        copy.wait(client)
    say("Pausing polls. They stay paused until the restore has ended.")
    _pause(stack)
    tables, pending = [], 0
    for copy in copies:
        taken = (add_missing_rows if copy.logical_id == "AlertTable" else replace_rows)(client, copy)
        say(f"{copy.logical_id}: wrote {taken.written} of {plural(taken.rows, 'row')}")
        tables.append(RestoredTable(table=copy.logical_id, rows=taken.rows, written=taken.written))
        pending += taken.pending
    if pending:
        say(f"{plural(pending, 'alert')} had not been sent at that time and will be sent now, maybe a second time")
    _switch_polls(stack, is_enabled=True)
    for copy in copies:
        copy.delete(client)
    return Restored(to=copies[0].at, tables=tables, pending=pending)


def _pause(stack: Stack) -> None:
    """Pause the polls, and wait until none is running."""
    _switch_polls(stack, is_enabled=False)
    functions = stack.aws.functions
    while functions.get_event_source_mapping(UUID=stack.resources[POLLS].id)["State"] != "Disabled":
        clock.sleep(CHECK_EVERY)
    name = stack.resources[Function.POLL_ORDERS.resource].id
    clock.sleep(functions.get_function_configuration(FunctionName=name)["Timeout"])


def _switch_polls(stack: Stack, *, is_enabled: bool) -> None:
    for name in SCHEDULES:
        if name in stack.resources:  # there is no summary with an empty SummarySchedule
            set_schedule(stack, stack.resources[name], is_enabled=is_enabled)
    set_event_source(stack, stack.resources[POLLS], is_enabled=is_enabled)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
