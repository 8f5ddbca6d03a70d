"""The memory of a FIFO queue: which deduplication ids were used in the last five minutes, and by which message."""

from msgspec import Struct

WINDOW_MS = 5 * 60 * 1000  # "the 5-minute deduplication interval" (AWS, SendMessage)


class Seen(Struct, kw_only=True, gc=False):
    """`pending`: its commit is under way, and may still fail."""

    message_id: str
    sequence: int
    at_ms: int
    pending: bool = False


class Dedups:
    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def find(self, key: str, now_ms: int) -> Seen | None:
        self._prune(now_ms)
        seen = self._seen.get(key)
        return seen if seen is not None and seen.at_ms + WINDOW_MS > now_ms else None

    def note(self, key: str, seen: Seen) -> None:
        self._seen.pop(key, None)  # the newest stand last
        self._seen[key] = seen

    def forget(self, key: str, seen: Seen) -> None:
        if self._seen.get(key) is seen:
            del self._seen[key]

    def clear(self) -> None:
        self._seen.clear()

    def __len__(self) -> int:
        return len(self._seen)

    def _prune(self, now_ms: int) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest].at_ms + WINDOW_MS > now_ms:
                return
            del self._seen[oldest]
