"""Switches off what invokes the functions of a stack on the local cloud, so that they run by hand alone."""

from typing import Any

from orderwatch_cli.stack import EVENT_SOURCE, SCHEDULE, Stack


def switch_off_schedules(stack: Stack) -> None:
    """Disable every schedule; what it is otherwise stays."""
    for schedule in stack.of_type(SCHEDULE):
        known: Any = stack.aws.scheduler.get_schedule(Name=schedule.id)
        kept = {key: known[key] for key in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
        stack.aws.scheduler.update_schedule(**kept, State="DISABLED")


def switch_off_sources(stack: Stack, *, but: str | None = None) -> None:
    """Disable the mappings of queues and streams to functions.

    Args:
        stack: Whose.
        but: The template's name of a mapping that stays on.
    """
    for source in stack.of_type(EVENT_SOURCE):
        if source.name != but:
            stack.aws.functions.update_event_source_mapping(UUID=source.id, Enabled=False)
