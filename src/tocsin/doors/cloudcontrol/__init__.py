"""Cloud Control: one way to all kinds of resources, each of which lives behind another door."""

from tocsin.doors.cloudcontrol.door import cloudcontrol_door

__all__ = ["cloudcontrol_door"]
