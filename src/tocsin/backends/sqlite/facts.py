"""Facts: what the writer knows of the database when it decides whether a commit is stale.

A fact is a number under a key: the revision of a record, the number of a log group, stream or archive that has rows,
the place of a cursor; 0 stands for "there is none". The writer is the only one who writes, so facts stay true between
groups of commits; they are thrown away when a group fails.
"""

from collections.abc import Iterable

import apsw
import msgspec

from tocsin.backends.sqlite.queries import SQL
from tocsin.model.archive import Archive
from tocsin.model.changes import (
    Advance,
    Change,
    Delete,
    DropArchived,
    DropLogs,
    DropStream,
    Keep,
    Log,
    OpenStream,
    Put,
)
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope
from tocsin.model.records import Record

Key = tuple[str, ...]  # its first member is the sort
Known = dict[Key, int]

RECORD, GROUP, STREAM, CURSOR, ARCHIVE = SORTS = ("record", "group", "stream", "cursor", "archive")
# Facts kept between groups of commits: some 20 MB at most.
FACTS_MAX = 65536

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[int, int]]).decode


def record_key(record: Record) -> Key:
    return (RECORD, record.kind, record.scope.account, record.scope.region, record.key)


def group_record_key(scope: Scope, group: str) -> Key:
    return (RECORD, LogGroup.kind, scope.account, scope.region, group)


def group_key(scope: Scope, group: str) -> Key:
    return (GROUP, scope.account, scope.region, group)


def archive_record_key(scope: Scope, archive: str) -> Key:
    return (RECORD, Archive.kind, scope.account, scope.region, archive)


def archive_key(scope: Scope, archive: str) -> Key:
    return (ARCHIVE, scope.account, scope.region, archive)


def stream_key(scope: Scope, group: str, stream: str) -> Key:
    return (STREAM, scope.account, scope.region, group, stream)


def wanted(change: Change) -> tuple[Key, ...]:
    """The facts a change is decided on."""
    match change:
        case Put(record) | Delete(record):
            return (record_key(record),)
        case Log(scope=scope, group=group, stream=stream) | OpenStream(scope=scope, group=group, stream=stream):
            return group_record_key(scope, group), group_key(scope, group), stream_key(scope, group, stream)
        case DropStream(scope=scope, group=group, stream=stream):
            return (stream_key(scope, group, stream),)
        case DropLogs(scope=scope, group=group):
            return (group_key(scope, group),)
        case Keep(scope=scope, archive=archive):
            return archive_record_key(scope, archive), archive_key(scope, archive)
        case DropArchived(scope=scope, archive=archive):
            return (archive_key(scope, archive),)
        case Advance(cursor=cursor):
            return ((CURSOR, cursor),)
        case _:
            return ()


def learn(connection: apsw.Connection, known: Known, changes: Iterable[Change]) -> None:
    """Add the facts that the changes want and that are not known yet."""
    if len(known) > FACTS_MAX:
        known.clear()
    missing: dict[str, dict[Key, None]] = {sort: {} for sort in SORTS}
    for change in changes:
        for key in wanted(change):
            if key not in known:
                missing[key[0]][key] = None
    asked = [list(missing[sort]) for sort in SORTS]
    if not any(asked):
        return
    [row] = connection.execute(SQL["facts"], [_encode([key[1:] for key in keys]).decode() for keys in asked])
    for keys, found in zip(asked, row, strict=True):
        known.update(dict.fromkeys(keys, 0))
        known.update((keys[place], number) for place, number in _decode(found))
