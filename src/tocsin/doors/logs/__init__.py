"""The CloudWatch Logs door: groups, streams and events in the store, over AWS's operations."""

from tocsin.doors.logs.door import logs_door

__all__ = ["logs_door"]
