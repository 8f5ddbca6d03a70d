"""Many patterns, one event. See `Index`."""

from .index import Index

__all__ = ["Index"]
