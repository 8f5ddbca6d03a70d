-- Named queries of the SQLite store. A name starts a query, the next name ends it.
--
-- Many rows go in and come out as one JSON array, because apsw lets go of the GIL for each step of a statement, and
-- under a busy event loop getting it back takes up to 5 ms: a group of 128 events costs 1 step (8 ms) this way and
-- 180 ms with a step for every row. Long values travel beside the JSON, end to end in one blob.

-- name: tape
-- All that a group of commits writes is one row inserted into this view: one statement, one transaction, one step.
-- jsonb_each hands a row on as it was parsed; json_each writes it out again, to be parsed once more.
CREATE TEMP VIEW tape AS
SELECT NULL AS bodies, NULL AS records, NULL AS gone, NULL AS journal, NULL AS groups, NULL AS streams, NULL AS lines,
       NULL AS cursors, NULL AS story, NULL AS archives, NULL AS archived, NULL AS held, NULL AS pings;

CREATE TEMP TRIGGER tape_written INSTEAD OF INSERT ON tape
BEGIN
    INSERT INTO record (kind, account, region, key, revision, body)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
           CAST(substr(NEW.bodies, value ->> 5, value ->> 6) AS TEXT)
    FROM jsonb_each(NEW.records)
    WHERE true
    ON CONFLICT DO UPDATE SET revision = excluded.revision, body = excluded.body;

    DELETE FROM record WHERE rowid IN (
        SELECT record.rowid FROM jsonb_each(NEW.gone) AS gone CROSS JOIN record
        WHERE kind = gone.value ->> 0 AND account = gone.value ->> 1 AND region = gone.value ->> 2
          AND record.key = gone.value ->> 3
    );

    INSERT INTO journal (seq, account, region, bus, id, at_ms, mark, by_hand, through_bytes, body)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
           value ->> 9, value ->> 10, coalesce(substr(NEW.bodies, value ->> 7, value ->> 8), x'')  -- of no bytes at all, substr makes NULL
    FROM jsonb_each(NEW.journal)
    WHERE NOT EXISTS (
        SELECT 1 FROM journal
        WHERE mark = value ->> 6 AND id = value ->> 4 AND bus = value ->> 3
          AND account = value ->> 1 AND region = value ->> 2
    );

    INSERT INTO log_group (id, account, region, name)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
    FROM jsonb_each(NEW.groups);

    INSERT INTO log_stream (id, group_id, name, created_ms, first_ms, last_ms, ingested_ms, bytes)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM jsonb_each(NEW.streams)
    WHERE true
    ON CONFLICT (id) DO UPDATE SET
        first_ms = coalesce(min(first_ms, excluded.first_ms), first_ms, excluded.first_ms),
        last_ms = coalesce(max(last_ms, excluded.last_ms), last_ms, excluded.last_ms),
        ingested_ms = coalesce(max(ingested_ms, excluded.ingested_ms), ingested_ms, excluded.ingested_ms),
        bytes = bytes + excluded.bytes;

    -- LIMIT keeps the inner query from being folded into the outer one, where each line would parse all its batch.
    INSERT INTO log_event (id, group_id, stream_id, at_ms, ingested_ms, message)
    SELECT batch.first_id + line.key, batch.group_id, batch.stream_id,
           line.value ->> 0, batch.ingested_ms,
           coalesce(CAST(substr(NEW.bodies, line.value ->> 1, line.value ->> 2) AS TEXT), '')
    FROM (
        SELECT value ->> 0 AS first_id, value ->> 1 AS group_id, value ->> 2 AS stream_id, value ->> 3 AS ingested_ms,
               jsonb_extract(value, '$[4]') AS lines
        FROM jsonb_each(NEW.lines)
        LIMIT -1
    ) AS batch CROSS JOIN jsonb_each(batch.lines) AS line;

    INSERT INTO cursor (name, seq)
    SELECT value ->> 0, value ->> 1
    FROM jsonb_each(NEW.cursors)
    WHERE true
    ON CONFLICT DO UPDATE SET seq = excluded.seq;

    INSERT INTO story (account, region, cluster_id, cluster_name, instance_id, at_ms, chapter, what, why)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8
    FROM jsonb_each(NEW.story);

    INSERT INTO archive (id, account, region, name, events, bytes)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM jsonb_each(NEW.archives)
    WHERE true
    ON CONFLICT (id) DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes;

    INSERT INTO archived (id, archive_id, at_ms, body)
    SELECT value ->> 0, value ->> 1, value ->> 2, coalesce(substr(NEW.bodies, value ->> 3, value ->> 4), x'')
    FROM jsonb_each(NEW.archived);

    INSERT INTO held (seq, rule_arn, target_id, gate, why)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    FROM jsonb_each(NEW.held)
    WHERE true
    ON CONFLICT DO NOTHING;

    UPDATE counter SET value = value + NEW.pings WHERE name = 'ping' AND NEW.pings > 0;
END;

-- name: write_tape
INSERT INTO tape VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: facts
-- What decisions are made on, for the wanted keys: lists of [place in the list of wanted keys, number].
SELECT
    (SELECT json_group_array(json_array(want.key, revision)) FROM json_each(?1) AS want CROSS JOIN record
     WHERE kind = want.value ->> 0 AND account = want.value ->> 1 AND region = want.value ->> 2
       AND record.key = want.value ->> 3),
    (SELECT json_group_array(json_array(want.key, log_group.id)) FROM json_each(?2) AS want CROSS JOIN log_group
     WHERE account = want.value ->> 0 AND region = want.value ->> 1 AND name = want.value ->> 2),
    (SELECT json_group_array(json_array(want.key, log_stream.id)) FROM json_each(?3) AS want
     CROSS JOIN log_group CROSS JOIN log_stream
     WHERE account = want.value ->> 0 AND region = want.value ->> 1 AND log_group.name = want.value ->> 2
       AND group_id = log_group.id AND log_stream.name = want.value ->> 3),
    (SELECT json_group_array(json_array(want.key, seq)) FROM json_each(?4) AS want CROSS JOIN cursor
     WHERE name = want.value ->> 0),
    (SELECT json_group_array(json_array(want.key, archive.id)) FROM json_each(?5) AS want CROSS JOIN archive
     WHERE account = want.value ->> 0 AND region = want.value ->> 1 AND name = want.value ->> 2);

-- name: numbers
-- The last number given out of each sort.
SELECT
    max((SELECT value FROM counter WHERE name = 'journal'), (SELECT coalesce(max(seq), 0) FROM journal)),
    max((SELECT value FROM counter WHERE name = 'log_event'), (SELECT coalesce(max(id), 0) FROM log_event)),
    (SELECT coalesce(max(id), 0) FROM log_stream),
    (SELECT coalesce(max(id), 0) FROM log_group),
    (SELECT coalesce(max(id), 0) FROM archive),
    max((SELECT value FROM counter WHERE name = 'archived'), (SELECT coalesce(max(id), 0) FROM archived)),
    (SELECT coalesce(max(through_bytes), 0) FROM (SELECT through_bytes FROM journal ORDER BY seq DESC LIMIT 1));

-- name: keep_counters
UPDATE counter SET value = CASE name
    WHEN 'journal' THEN max(value, (SELECT coalesce(max(seq), 0) FROM journal))
    WHEN 'log_event' THEN max(value, (SELECT coalesce(max(id), 0) FROM log_event))
    WHEN 'archived' THEN max(value, (SELECT coalesce(max(id), 0) FROM archived))
END
WHERE name IN ('journal', 'log_event', 'archived');

-- name: forget
DELETE FROM journal WHERE seq <= ?;

-- name: forget_held
DELETE FROM held WHERE seq <= ?;

-- name: drop_stream_events
DELETE FROM log_event WHERE stream_id = ?;

-- name: drop_stream
DELETE FROM log_stream WHERE id = ?;

-- name: drop_group_events
DELETE FROM log_event WHERE group_id = ?;

-- name: drop_group_streams
DELETE FROM log_stream WHERE group_id = ?;

-- name: drop_group
DELETE FROM log_group WHERE id = ?;

-- name: discount_old_events
-- Before they go, streams lose the bytes of the events that are older. 26: what AWS counts for an event itself.
UPDATE log_stream
SET bytes = bytes - coalesce(
    (SELECT sum(octet_length(message) + 26) FROM log_event WHERE stream_id = log_stream.id AND at_ms < ?2), 0)
WHERE group_id = ?1 AND first_ms < ?2;

-- name: drop_old_events
DELETE FROM log_event WHERE group_id = ?1 AND at_ms < ?2;

-- name: recount_streams
-- first_ms still tells which streams lost events.
UPDATE log_stream
SET last_ms = (SELECT max(at_ms) FROM log_event WHERE stream_id = log_stream.id),
    ingested_ms = CASE WHEN EXISTS (SELECT 1 FROM log_event WHERE stream_id = log_stream.id) THEN ingested_ms END,
    first_ms = (SELECT min(at_ms) FROM log_event WHERE stream_id = log_stream.id)
WHERE group_id = ?1 AND first_ms < ?2;

-- name: drop_archived
DELETE FROM archived WHERE archive_id = ?;

-- name: drop_archive
DELETE FROM archive WHERE id = ?;

-- name: discount_old_archived
UPDATE archive
SET events = events - (SELECT count(*) FROM archived WHERE archive_id = ?1 AND at_ms < ?2),
    bytes = bytes - (SELECT coalesce(sum(octet_length(body)), 0) FROM archived WHERE archive_id = ?1 AND at_ms < ?2)
WHERE id = ?1;

-- name: drop_old_archived
DELETE FROM archived WHERE archive_id = ?1 AND at_ms < ?2;

-- name: get
SELECT CAST(body AS BLOB) FROM record WHERE kind = ? AND account = ? AND region = ? AND key = ?;

-- name: find_in_scope
-- An aggregate over an ordered subquery with LIMIT takes its rows in that order.
SELECT CAST('[' || group_concat(body, ',') || ']' AS BLOB) FROM (
    SELECT body FROM record
    WHERE kind = ?1 AND account = ?5 AND region = ?6 AND key >= ?2 AND key < ?3
    ORDER BY key
    LIMIT ?4
);

-- name: find_everywhere
SELECT CAST('[' || group_concat(body, ',') || ']' AS BLOB) FROM (
    SELECT body FROM record
    WHERE kind = ?1 AND key >= ?2 AND key < ?3
    ORDER BY account, region, key
    LIMIT ?4
);

-- name: scopes
SELECT json_group_array(json_array(account, region)) FROM (
    SELECT DISTINCT account, region FROM record WHERE kind = ?1 ORDER BY account, region
);

-- name: count
SELECT count(*) FROM record WHERE kind = ?1 AND account = ?4 AND region = ?5 AND key >= ?2 AND key < ?3;

-- name: journal
SELECT json_group_array(json_array(seq, account, region, bus, id, at_ms, by_hand, octet_length(body))),
       CAST(group_concat(body, '') AS BLOB)
FROM (SELECT * FROM journal WHERE seq > ? ORDER BY seq LIMIT ?);

-- name: journal_marks
SELECT json_group_array(json_array(seq, at_ms, through_bytes))
FROM (SELECT seq, at_ms, through_bytes FROM journal WHERE seq > ? ORDER BY seq LIMIT ?);

-- name: held
SELECT json_group_array(json_object(
    'seq', seq, 'rule_arn', rule_arn, 'target_id', target_id, 'gate', gate, 'why', why))
FROM (SELECT * FROM held WHERE seq > ? AND seq <= ? ORDER BY seq, rule_arn, target_id);

-- name: journal_bounds
SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal),
       (SELECT value FROM counter WHERE name = 'journal');

-- name: cursor
SELECT seq FROM cursor WHERE name = ?;

-- name: log_streams
SELECT json_group_array(json_object(
    'name', name, 'created_ms', created_ms, 'first_ms', first_ms, 'last_ms', last_ms, 'ingested_ms', ingested_ms,
    'bytes', bytes))
FROM (
    SELECT log_stream.* FROM log_group JOIN log_stream ON group_id = log_group.id
    WHERE account = ?1 AND region = ?2 AND log_group.name = ?3 AND log_stream.name >= ?4 AND log_stream.name < ?5
    ORDER BY log_stream.name
    LIMIT ?6
);

-- name: log_stream_ids
-- Of a group: its number, and the numbers of the streams whose names are listed (NULL: all) and within the range.
SELECT log_group.id, (
    SELECT json_group_array(id) FROM log_stream
    WHERE group_id = log_group.id AND name >= ?4 AND name < ?5
      AND (?6 IS NULL OR name IN (SELECT value FROM json_each(?6)))
)
FROM log_group WHERE account = ?1 AND region = ?2 AND name = ?3;

-- name: log_events_of_group
-- SQLite seeks to the millisecond and reads past the ids before `after` in it.
SELECT json_group_array(json_array(id, name, at_ms, ingested_ms, message)) FROM (
    SELECT log_event.id, name, at_ms, log_event.ingested_ms, message
    FROM log_event CROSS JOIN log_stream ON log_stream.id = stream_id
    WHERE log_event.group_id = ?1 AND (at_ms, log_event.id) > (?2, ?3) AND (at_ms, log_event.id) < (?4, ?5)
    ORDER BY at_ms {direction}, log_event.id {direction}
    LIMIT ?6
);

-- name: log_events_of_stream
SELECT json_group_array(json_array(id, name, at_ms, ingested_ms, message)) FROM (
    SELECT log_event.id, name, at_ms, log_event.ingested_ms, message
    FROM log_event CROSS JOIN log_stream ON log_stream.id = stream_id
    WHERE stream_id = ?1 AND (at_ms, log_event.id) > (?2, ?3) AND (at_ms, log_event.id) < (?4, ?5)
    ORDER BY at_ms {direction}, log_event.id {direction}
    LIMIT ?6
);

-- name: log_events_of_streams
-- Walks the group's index and leaves out other streams: it stops at the limit and never sorts.
SELECT json_group_array(json_array(id, name, at_ms, ingested_ms, message)) FROM (
    SELECT log_event.id, name, at_ms, log_event.ingested_ms, message
    FROM log_event CROSS JOIN log_stream ON log_stream.id = stream_id
    WHERE log_event.group_id = ?1 AND (at_ms, log_event.id) > (?2, ?3) AND (at_ms, log_event.id) < (?4, ?5)
      AND stream_id IN (SELECT value FROM json_each(?7))
    ORDER BY at_ms {direction}, log_event.id {direction}
    LIMIT ?6
);

-- name: log_bytes
SELECT json_group_object(name, bytes) FROM (
    SELECT log_group.name, sum(bytes) AS bytes
    FROM json_each(?3) AS want
    CROSS JOIN log_group ON account = ?1 AND region = ?2 AND log_group.name = want.value
    JOIN log_stream ON group_id = log_group.id
    GROUP BY log_group.id
);

-- name: archived
SELECT json_group_array(json_array(id, at_ms, octet_length(body))), CAST(group_concat(body, '') AS BLOB)
FROM (
    SELECT id, at_ms, body FROM archived
    WHERE archive_id = (SELECT id FROM archive WHERE account = ?1 AND region = ?2 AND name = ?3)
      AND (at_ms, id) > (?4, ?5) AND at_ms < ?6
    ORDER BY at_ms, id
    LIMIT ?7
);

-- name: archive_sums
SELECT json_group_object(name, json_object('events', events, 'bytes', bytes))
FROM json_each(?3) AS want CROSS JOIN archive ON account = ?1 AND region = ?2 AND name = want.value;

-- name: story_of_scope
SELECT json_group_array(json_array(seq, cluster_id, cluster_name, instance_id, at_ms, chapter, what, why)) FROM (
    SELECT * FROM story WHERE account = ?1 AND region = ?2 AND seq {beyond} ?3 ORDER BY seq {direction} LIMIT ?4
);

-- name: story_of_cluster
SELECT json_group_array(json_array(seq, cluster_id, cluster_name, instance_id, at_ms, chapter, what, why)) FROM (
    SELECT * FROM story WHERE account = ?1 AND region = ?2 AND cluster_id = ?5 AND seq {beyond} ?3
    UNION
    SELECT * FROM story WHERE account = ?1 AND region = ?2 AND cluster_name = ?5 AND seq {beyond} ?3
    ORDER BY seq {direction}
    LIMIT ?4
);

-- name: story_of_node
SELECT json_group_array(json_array(seq, cluster_id, cluster_name, instance_id, at_ms, chapter, what, why)) FROM (
    SELECT * FROM story
    WHERE account = ?1 AND region = ?2 AND instance_id = ?6 AND instance_id <> '' AND (?5 IN ('', cluster_id, cluster_name))
      AND seq {beyond} ?3
    ORDER BY seq {direction}
    LIMIT ?4
);
