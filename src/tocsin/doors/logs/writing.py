"""PutLogEvents: what a batch must be, which of its events are taken, and the one commit that keeps them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from tocsin.core.retention import kept_since
from tocsin.doors.door import Context
from tocsin.doors.logs.finding import named_group, named_stream
from tocsin.doors.logs.streams import SEQUENCE_TOKEN
from tocsin.model.changes import Log
from tocsin.model.errors import InvalidParameter
from tocsin.model.logs import EVENT_OVERHEAD_BYTES, LogLine
from tocsin.ports import Store

# All from AWS, PutLogEvents. The operation's model limits a batch to 10,000 events.
BATCH_BYTES_MAX = 1_048_576
EVENT_BYTES_MAX = 1_048_576
BATCH_SPAN_MS_MAX = 24 * 3600 * 1000
AGE_MS_MAX = 14 * 24 * 3600 * 1000
FUTURE_MS_MAX = 2 * 3600 * 1000

TOO_LONG_A_SPAN = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."


class Verdict(Struct, frozen=True, kw_only=True):
    """Of a batch in order of time: `lines` are taken; the three indices mark what is not, as AWS counts them."""

    lines: tuple[LogLine, ...]
    too_old_end: int = 0
    expired_end: int = 0
    too_new_start: int | None = None

    def rejected(self) -> dict[str, int] | None:
        """rejectedLogEventsInfo: ends are exclusive, the start is inclusive; None when nothing was rejected."""
        info = {
            "tooOldLogEventEndIndex": self.too_old_end or None,
            "expiredLogEventEndIndex": self.expired_end or None,
            "tooNewLogEventStartIndex": self.too_new_start,
        }
        return {name: index for name, index in info.items() if index is not None} or None


class Writing:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await named_group(self._store, context.scope, request["logGroupName"])
        stream = await named_stream(self._store, group, request["logStreamName"])
        lines = [LogLine(event["timestamp"], event["message"]) for event in request["logEvents"]]
        check_batch(lines)
        verdict = judge_batch(lines, context.now_ms, group.retention_days)
        if verdict.lines:
            await self._store.commit(
                Log(
                    scope=group.scope,
                    group=group.name,
                    stream=stream.name,
                    lines=verdict.lines,
                    ingested_ms=context.now_ms,
                )
            )
        return {"nextSequenceToken": SEQUENCE_TOKEN, "rejectedLogEventsInfo": verdict.rejected()}


def check_batch(lines: Sequence[LogLine]) -> None:
    """Raises InvalidParameter for a batch that AWS refuses as a whole, whatever the time is."""
    sizes = [len(line.message.encode()) + EVENT_OVERHEAD_BYTES for line in lines]
    if max(sizes) > EVENT_BYTES_MAX:
        raise InvalidParameter(f"Log event too large: {max(sizes)} bytes exceeds limit of {EVENT_BYTES_MAX}")
    if sum(sizes) > BATCH_BYTES_MAX:
        raise InvalidParameter(f"Upload too large: {sum(sizes)} bytes exceeds limit of {BATCH_BYTES_MAX}")
    if any(later.at_ms < earlier.at_ms for earlier, later in pairwise(lines)):
        raise InvalidParameter("Log events in a single PutLogEvents request must be in chronological order.")


def judge_batch(lines: Sequence[LogLine], now_ms: int, retention_days: int) -> Verdict:
    """Which events of a batch in order of time are taken. Raises InvalidParameter when those span over a day."""
    too_old_end = sum(line.at_ms < now_ms - AGE_MS_MAX for line in lines)
    kept = kept_since(retention_days, now_ms)
    expired_end = 0 if kept is None else sum(line.at_ms < kept for line in lines)
    too_new = sum(line.at_ms > now_ms + FUTURE_MS_MAX for line in lines)
    taken = tuple(lines[max(too_old_end, expired_end) : len(lines) - too_new])
    if taken and taken[-1].at_ms - taken[0].at_ms > BATCH_SPAN_MS_MAX:
        raise InvalidParameter(TOO_LONG_A_SPAN)
    return Verdict(
        lines=taken,
        too_old_end=too_old_end,
        expired_end=expired_end,
        too_new_start=len(lines) - too_new if too_new else None,
    )
