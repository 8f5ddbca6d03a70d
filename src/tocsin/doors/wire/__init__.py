"""The AWS wire protocols, both directions, driven by botocore's service models read as data. No I/O of its own.

The front hands in a Request and gets a Call, an input, and in the end a Response.
"""

from tocsin.doors.wire.frames import Call, Request, Response
from tocsin.doors.wire.wire import Wire

__all__ = ["Call", "Request", "Response", "Wire"]
