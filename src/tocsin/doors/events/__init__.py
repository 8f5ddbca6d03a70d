"""The EventBridge door: rules and targets in the store, events to the bus."""

from tocsin.doors.events.door import EventsLimits, events_door

__all__ = ["EventsLimits", "events_door"]
