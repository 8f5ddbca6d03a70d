"""One target's control at work: which events pass, which are held back by what, and which windows are over.

A window opens with a delivery, never with what is held back. Times are those of the events' acceptance, so that the
router, coming back after a crash, decides the same again. Nothing here changes: `take` answers with what follows.
"""

import hashlib
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.transform.paths import Reading, read_path
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.model.noise import DEDUPLICATE, ON_CHANGE, THROTTLE, Control, Seen, Window
from tocsin.model.records import successor


class Taken(Struct, frozen=True, kw_only=True):
    """What becomes of one event: held back by a gate, or not; the windows as they are then; a window that it ended."""

    gate: str = ""
    why: str = ""
    windows: tuple[Window, ...] = ()
    ended: Window | None = None


class Sieve(Struct, frozen=True, kw_only=True):
    """Which target, and its control."""

    scope: Scope
    bus: str
    rule: str
    target_id: str
    control: Control

    def take(self, event: Event, windows: Mapping[str, Window]) -> Taken:
        """`windows` by their keys, as those before the event left them."""
        reading = Reading(event.body)
        passing: list[Window] = []
        if change := self.control.on_change:
            value = _digest(reading, (change.field,))
            window = self._window(ON_CHANGE, windows, event, _digest(reading, change.key))
            if window.value == value:
                return Taken(gate=ON_CHANGE, why=f"{change.field} is what it was in {window.since_id}")
            passing.append(replace(_anew(window, event), value=value))
        if same := self.control.deduplicate:
            window = self._window(DEDUPLICATE, windows, event, _digest(reading, same.key))
            if window.revision and not window.is_over(event.at_ms):
                return Taken(gate=DEDUPLICATE, why=f"within {same.window_s} s of {window.since_id}, which is alike")
            passing.append(_anew(window, event))
        if rate := self.control.throttle:
            window = self._window(THROTTLE, windows, event)
            if not window.revision or window.is_over(event.at_ms):
                ended = window if window.held else None
                fresh = replace(_anew(window, event), delivered=1, held=0, first=None, last=None)
                return Taken(windows=(*passing, fresh), ended=ended)
            if window.delivered >= rate.deliveries_max:
                seen = Seen(event.id, event.at_ms)
                counted = successor(window, held=window.held + 1, first=window.first or seen, last=seen)
                why = f"{rate.deliveries_max} within {rate.window_s} s are enough"
                return Taken(gate=THROTTLE, why=why, windows=(counted,))
            passing.append(successor(window, delivered=window.delivered + 1))
        return Taken(windows=tuple(passing))

    @property
    def throttle_key(self) -> str:
        """Of the one window in which a throttle counts."""
        return f"{self.bus}/{self.rule}/{self.target_id}/{THROTTLE}/"

    def _window(self, gate: str, windows: Mapping[str, Window], event: Event, of: str = "") -> Window:
        """The window, or one that is not there yet (revision 0)."""
        blank = Window(
            scope=self.scope,
            revision=0,
            bus=self.bus,
            rule=self.rule,
            target_id=self.target_id,
            gate=gate,
            of=of,
            control=self.control,
            since_ms=event.at_ms,
        )
        return windows.get(blank.key, blank)


def _anew(window: Window, event: Event) -> Window:
    """The window, begun by the event."""
    return successor(window, since_ms=event.at_ms, since_id=event.id)


def _digest(reading: Reading, paths: tuple[str, ...]) -> str:
    """A short name for the values at the paths, as the event writes them. Nothing there is a value of its own."""
    if not paths:
        return ""
    found = []
    for path in paths:
        steps = read_path(f"$.{path}")
        assert steps is not None, "a control holds only paths that read"
        found.append(reading.text(steps) or b"")
    return hashlib.sha256(b"\x1f".join(found)).hexdigest()[:32]
