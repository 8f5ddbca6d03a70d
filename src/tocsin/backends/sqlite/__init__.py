"""The embedded store: the Store port on one SQLite file, for one server process."""

from tocsin.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
