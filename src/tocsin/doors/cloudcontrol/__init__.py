"""Cloud Control: one way to all kinds of resources, each of which lives behind another door."""

from tocsin.doors.cloudcontrol.door import cloudcontrol_door
from tocsin.doors.cloudcontrol.requests import Requests
from tocsin.doors.cloudcontrol.watching import Watching

__all__ = ["Requests", "Watching", "cloudcontrol_door"]
