"""The EventBridge door: buses, rules and targets in the store, events to the bus."""

from tocsin.doors.events.door import events_door
from tocsin.doors.events.limits import EventsLimits

__all__ = ["EventsLimits", "events_door"]
