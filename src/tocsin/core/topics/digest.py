"""How many mails a minute one subscription gets; the others are held, and one digest lists them.

AWS deactivates a subscription that is written to too often. Here nobody loses a message over it.
"""

from msgspec import Struct

WINDOW_MS = 60_000
# Lines of one digest; what is held beyond is in the next, a minute later.
DIGEST_LINES_MAX = 1_000


class Flow(Struct, frozen=True):
    """A window of one subscription: since when, mails sent in it, messages held."""

    since_ms: int
    sent: int
    held: int = 0

    @property
    def due_ms(self) -> int:
        """When the window is over, and what is held is to be told."""
        return self.since_ms + WINDOW_MS


def admit(flow: Flow | None, now_ms: int, per_minute: int) -> tuple[Flow, bool]:
    """The window with one more message, and whether that is mailed by itself. While any is held, all are."""
    if flow is None or (not flow.held and now_ms >= flow.due_ms):
        return Flow(now_ms, 1), True
    if not flow.held and flow.sent < per_minute:
        return Flow(flow.since_ms, flow.sent + 1), True
    return Flow(flow.since_ms, flow.sent, flow.held + 1), False


def told(flow: Flow, now_ms: int, lines: int) -> Flow:
    """The window after a digest that listed so many: the digest is the first mail of a new one."""
    return Flow(now_ms, 1, max(flow.held - lines, 0))
