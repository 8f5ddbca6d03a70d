"""Connections to the database file: versions, settings, migrations, and the check after an unclean end."""

from pathlib import Path

import apsw

from tocsin.backends.sqlite.queries import MIGRATIONS, SQL
from tocsin.model.errors import StoreUnavailable

# Older ones can corrupt a WAL file when a writer resets it beside a checkpoint (https://sqlite.org/wal.html).
SQLITE_VERSION_MIN = (3, 51, 3)
# "Tcsn": `file` and a look at the header tell whose database this is.
APPLICATION_ID = 0x5463736E
# Pages of 4 KiB the writer moves into the database at once, within a commit: 16 MiB, some 50 ms on a plain disk.
WAL_CHECKPOINT_PAGES = 4000
# A WAL file that had to grow is cut back to this.
WAL_KEPT_BYTES = 64 << 20
# The writer's pages held in memory: the upper levels of all indexes and the fresh end of the journal.
WRITER_CACHE_KIB = 65536
READER_CACHE_KIB = 16384
BUSY_TIMEOUT_MS = 5000


def open_writer(path: Path, *, check: bool, synced: bool = True) -> apsw.Connection:
    """The one connection that writes, on a database brought to the newest version. Raises StoreUnavailable."""
    _demand_sqlite()
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.execute(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = {'FULL' if synced else 'OFF'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}; PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")
        if check:
            _demand_sound(connection, path)
        migrate(connection, path)
        connection.execute(SQL["tape"])
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.execute(f"PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")
    return connection


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Run the migrations the database lacks, all in one transaction."""
    [(version,)] = connection.execute("PRAGMA user_version")
    newest = MIGRATIONS[-1][0]
    if version > newest:
        raise StoreUnavailable(
            f"{path} has schema {version}, and this Tocsin knows schemas up to {newest}: it was written by a newer "
            "one. Start that, or restore the backup from before the upgrade"
        )
    if version == newest:
        return
    with connection:
        for number, text in MIGRATIONS[version:]:
            connection.execute(text)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _demand_sqlite() -> None:
    version = tuple(map(int, apsw.sqlite_lib_version().split(".")[:3]))
    if version < SQLITE_VERSION_MIN:
        raise StoreUnavailable(
            f"apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt a WAL file: install apsw "
            f"{'.'.join(map(str, SQLITE_VERSION_MIN))} or newer"
        )


def _demand_sound(connection: apsw.Connection, path: Path) -> None:
    """quick_check reads the whole file (264 MiB took 0.3 s), so it runs only where the last end was unclean."""
    complaints = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    if complaints != ["ok"]:
        raise StoreUnavailable(f"{path} is damaged ({'; '.join(complaints)}): restore it from a backup")
