"""The SQS door: queues over AWS's operations."""

from tocsin.doors.sqs.door import sqs_door

__all__ = ["sqs_door"]
