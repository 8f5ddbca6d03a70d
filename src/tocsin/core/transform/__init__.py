"""What a target is sent instead of the event: a constant, a part of the event, or a template filled from it.

Doors call `shaping` when a target is put; the bus calls `shape` for each delivery and asks `sendable` and `log_line`
about the outcome. The law is written down in docs/transform.md. Must not know targets' kinds, stores or the wire.
"""

from .filling import sendable, shape
from .lines import log_line
from .spec import Constant, Filled, Part, Shaping, shaping
from .values import About

__all__ = ["About", "Constant", "Filled", "Part", "Shaping", "log_line", "sendable", "shape", "shaping"]
