-- The ground: records, journal, cursors, logs, story. Times are epoch milliseconds.
-- STRICT, so that a value of the wrong type is refused instead of kept.

CREATE TABLE record (
    kind     TEXT NOT NULL,
    account  TEXT NOT NULL,
    region   TEXT NOT NULL,
    key      TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision > 0),
    body     TEXT NOT NULL,
    PRIMARY KEY (kind, account, region, key)
) STRICT;

-- `mark` is a number made of the id. Its index finds an event journaled before; id and scope decide. A unique index
-- on (account, region, id) says the same in four times the bytes, and halves the rate from a million events on.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    bus     TEXT NOT NULL,
    id      TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    mark    INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE INDEX journal_mark ON journal (mark);

CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The highest number ever given out, kept when the rows that bore it go.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('journal', 0), ('log_event', 0), ('ping', 0);

-- A short number for a group that has streams. The group itself is a record.
CREATE TABLE log_group (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    UNIQUE (account, region, name)
) STRICT;

CREATE TABLE log_stream (
    id          INTEGER PRIMARY KEY,
    group_id    INTEGER NOT NULL REFERENCES log_group,
    name        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    first_ms    INTEGER,
    last_ms     INTEGER,
    ingested_ms INTEGER,
    bytes       INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    UNIQUE (group_id, name)
) STRICT;

CREATE TABLE log_event (
    id          INTEGER PRIMARY KEY,
    group_id    INTEGER NOT NULL,
    stream_id   INTEGER NOT NULL REFERENCES log_stream,
    at_ms       INTEGER NOT NULL,
    ingested_ms INTEGER NOT NULL,
    message     TEXT NOT NULL
) STRICT;
-- Every index of a rowid table ends in the rowid, here the id: these are (group, at, id) and (stream, at, id).
CREATE INDEX log_event_of_group ON log_event (group_id, at_ms);
CREATE INDEX log_event_of_stream ON log_event (stream_id, at_ms);

CREATE TABLE story (
    seq          INTEGER PRIMARY KEY,
    account      TEXT NOT NULL,
    region       TEXT NOT NULL,
    cluster_id   TEXT NOT NULL,
    cluster_name TEXT NOT NULL,
    instance_id  TEXT NOT NULL,
    at_ms        INTEGER NOT NULL,
    chapter      TEXT NOT NULL,
    what         TEXT NOT NULL,
    why          TEXT NOT NULL
) STRICT;
CREATE INDEX story_of_scope ON story (account, region);
CREATE INDEX story_of_cluster ON story (account, region, cluster_id);
CREATE INDEX story_of_name ON story (account, region, cluster_name);
CREATE INDEX story_of_node ON story (account, region, instance_id) WHERE instance_id <> '';
