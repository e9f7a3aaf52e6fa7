"""An order that went into trouble and is late too is told in one message, where both alerts come together."""

from collections.abc import Iterable, Sequence

from orderwatch.alerts.alert import Alert, AlsoTold
from orderwatch.alerts.kinds import DEADLINE_KINDS, KIND_RECOVERED, Severity
from orderwatch.publishing.digest import Group

_WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def together(groups: Sequence[Group]) -> list[Group]:
    """Join the message about a deadline with that about the status of the same order; digests stay as they are."""
    troubles = {key: each for each in groups if (key := _order_of(each)) and _is_about_trouble(each.alert)}
    deadlines = {key: each for each in groups if (key := _order_of(each)) and each.alert.kind in DEADLINE_KINDS}
    both = troubles.keys() & deadlines.keys()
    joined = {id(troubles[key]): _joined(troubles[key], deadlines[key]) for key in both}
    left_out = {id(deadlines[key]) for key in both}
    return [joined.get(id(each), each) for each in groups if id(each) not in left_out]


def _order_of(group: Group) -> tuple[str, str] | None:
    return (group.alert.connection_id, group.alert.order.id) if group.alert.order else None


def _is_about_trouble(alert: Alert) -> bool:
    return alert.kind not in {*DEADLINE_KINDS, KIND_RECOVERED}


def _joined(trouble: Group, deadline: Group) -> Group:
    main, other = trouble.alert, deadline.alert
    due_at = other.order.due_at if other.order else None
    changes = {
        "also": (AlsoTold(kind=other.kind, alert_id=other.alert_id),),
        "severity": _worst([main.severity, other.severity]),
        "detail": other.detail,
        "order": main.order.model_copy(update={"due_at": due_at}) if main.order else None,
    }
    return Group(main.model_copy(update=changes), (*trouble.members, *deadline.members))


def _worst(severities: Iterable[Severity]) -> Severity:
    return min(severities, key=_WORST_FIRST.index)
