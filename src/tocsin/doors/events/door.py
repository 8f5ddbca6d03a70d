"""EventBridge's operations, and where each of them is. What they share is in finding.py."""

from collections.abc import Callable

from tocsin.doors.door import Door
from tocsin.doors.events.aiming import Aiming
from tocsin.doors.events.archives import Archives
from tocsin.doors.events.buses import Buses
from tocsin.doors.events.connections import ConnectionsDoor
from tocsin.doors.events.destinations import Destinations
from tocsin.doors.events.limits import EventsLimits
from tocsin.doors.events.permissions import Permissions
from tocsin.doors.events.putting import Putting
from tocsin.doors.events.replays import Replays
from tocsin.doors.events.rules import Rules
from tocsin.doors.events.tagging import Tagging
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.connections import Connections


def events_door(
    store: Store,
    bus: Bus,
    limits: EventsLimits,
    new_id: Callable[[int], str],
    connections: Connections,
    new_uid: Callable[[], str],
    wake_replays: Callable[[], None] = lambda: None,
) -> Door:
    """`new_id` gives a fresh event id at every call; it is told the time in epoch milliseconds. `new_uid` gives the
    unique part of an API destination's ARN.

    `wake_replays` is called when one was started or cancelled.
    """
    rules = Rules(store, bus, limits)
    aiming = Aiming(store, rules, limits.targets_per_rule_max)
    buses, permissions = Buses(store, bus, limits.buses_max), Permissions(store)
    putting = Putting(store, bus, new_id)
    archives = Archives(store, bus, limits.archives_max)
    replays = Replays(store, bus, limits.replays_at_work_max, wake_replays)
    plain_http = limits.plain_http
    contacts = ConnectionsDoor(store, connections, limits.connections_max, plain_http=plain_http)
    destinations = Destinations(store, new_uid, limits.api_destinations_max, plain_http=plain_http)
    tagging = Tagging(store, bus)
    return Door(
        service="events",
        operations={
            "PutEvents": putting.put_events,
            "TestEventPattern": putting.test_event_pattern,
            "PutRule": rules.put,
            "DescribeRule": rules.describe,
            "ListRules": rules.list,
            "DeleteRule": rules.delete,
            "EnableRule": rules.enable,
            "DisableRule": rules.disable,
            "PutTargets": aiming.put,
            "RemoveTargets": aiming.remove,
            "ListTargetsByRule": aiming.list_by_rule,
            "ListRuleNamesByTarget": aiming.list_rule_names,
            "CreateEventBus": buses.create,
            "DescribeEventBus": buses.describe,
            "ListEventBuses": buses.list,
            "UpdateEventBus": buses.update,
            "DeleteEventBus": buses.delete,
            "PutPermission": permissions.put,
            "RemovePermission": permissions.remove,
            "CreateArchive": archives.create,
            "DescribeArchive": archives.describe,
            "ListArchives": archives.list,
            "UpdateArchive": archives.update,
            "DeleteArchive": archives.delete,
            "StartReplay": replays.start,
            "DescribeReplay": replays.describe,
            "ListReplays": replays.list,
            "CancelReplay": replays.cancel,
            "CreateConnection": contacts.create,
            "DescribeConnection": contacts.describe,
            "ListConnections": contacts.list,
            "UpdateConnection": contacts.update,
            "DeauthorizeConnection": contacts.deauthorize,
            "DeleteConnection": contacts.delete,
            "CreateApiDestination": destinations.create,
            "DescribeApiDestination": destinations.describe,
            "ListApiDestinations": destinations.list,
            "UpdateApiDestination": destinations.update,
            "DeleteApiDestination": destinations.delete,
            "TagResource": tagging.tag,
            "UntagResource": tagging.untag,
            "ListTagsForResource": tagging.list,
        },
    )
