"""Schedules and event source mappings: turn them on or off, and keep their other properties."""

from typing import Any

from orderwatch_cli.stack import Resource, Stack


def set_schedule(stack: Stack, schedule: Resource, *, is_enabled: bool) -> None:
    """Enable or disable a schedule of EventBridge Scheduler."""
    client = stack.aws.scheduler
    found: Any = client.get_schedule(Name=schedule.id)
    # An update replaces the whole schedule: whatever it can set is passed on.
    request: Any = client.meta.service_model.operation_model("UpdateSchedule").input_shape
    kept = {name: found[name] for name in request.members if name in found}
    client.update_schedule(**kept | {"State": "ENABLED" if is_enabled else "DISABLED"})


def set_event_source(stack: Stack, source: Resource, *, is_enabled: bool) -> None:
    """Enable or disable an event source mapping; this takes effect within a minute."""
    stack.aws.functions.update_event_source_mapping(UUID=source.id, Enabled=is_enabled)
