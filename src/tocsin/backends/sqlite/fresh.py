"""The fresh end of the journal, in memory: the router reads it right after it was committed, without the database.

The writer tells what each group of commits journaled; the store keeps it here and asks here first. Either every entry
from the first one on is here, or none is: what is not certain is left to the database.
"""

from bisect import bisect_right
from collections.abc import Sequence

from tocsin.model.event import Journaled

# Two batches of the router. Of a slower reader's entries the oldest are left to the database.
FRESH_MAX = 4000
FRESH_BYTES_MAX = 4 << 20


class Fresh:
    def __init__(self) -> None:
        self._entries: list[Journaled] = []
        self._bytes = 0

    def add(self, entries: Sequence[Journaled] | None) -> None:
        """What was journaled next; None where that is not certain, or entries were removed."""
        if entries is None:
            self._entries, self._bytes = [], 0
            return
        self._entries += entries
        self._bytes += sum(len(entry.event.body) for entry in entries)
        if len(self._entries) > FRESH_MAX or self._bytes > FRESH_BYTES_MAX:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        dropped = 0
        while len(self._entries) - dropped > FRESH_MAX or self._bytes > FRESH_BYTES_MAX:
            self._bytes -= len(self._entries[dropped].event.body)
            dropped += 1
        del self._entries[:dropped]

    def after(self, seq: int, limit: int) -> list[Journaled]:
        """Entries beyond `seq`, at most `limit`; none where there are none, or where the first of them are not here."""
        if not self._entries or seq + 1 < self._entries[0].seq:
            return []
        begin = bisect_right(self._entries, seq, key=_seq)
        return self._entries[begin : begin + limit]


def _seq(entry: Journaled) -> int:
    return entry.seq
