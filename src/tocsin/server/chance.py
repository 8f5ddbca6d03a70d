"""Random bytes for ids. Asking the system for each id costs more than all else about it, so they are taken in pages."""

import os

from tocsin.model.names import random_uuid, time_ordered_uuid

PAGE_BYTES = 4096


class Chance:
    """Belongs to one thread. No byte is given out twice."""

    def __init__(self) -> None:
        self._page, self._place = b"", 0

    def event_id(self, now_ms: int) -> str:
        return time_ordered_uuid(now_ms, self._take(10))

    def request_id(self) -> str:
        return random_uuid(self._take(16))

    def _take(self, count: int) -> bytes:
        begin, end = self._place, self._place + count
        if end > len(self._page):
            self._page, begin, end = os.urandom(PAGE_BYTES), 0, count
        self._place = end
        return self._page[begin:end]
