-- Archives: the events they keep, and what those add up to. The archive itself is a record.

CREATE TABLE archive (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    events  INTEGER NOT NULL DEFAULT 0 CHECK (events >= 0),
    bytes   INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    UNIQUE (account, region, name)
) STRICT;

CREATE TABLE archived (
    id         INTEGER PRIMARY KEY,
    archive_id INTEGER NOT NULL REFERENCES archive,
    at_ms      INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;
-- It ends in the rowid, here the id: (archive, at, id) is the order of reading.
CREATE INDEX archived_of_archive ON archived (archive_id, at_ms);

INSERT INTO counter VALUES ('archived', 0);
