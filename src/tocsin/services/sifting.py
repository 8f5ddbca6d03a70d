"""One batch of deliveries on its way through noise control: what passes, what is held back, what is told of it.

Made by `Noise` for the router and for the digests. What it remembers commits with what it let through, so that after
a crash nothing was held back twice, and no digest counts what was delivered.
"""

from collections import ChainMap, Counter

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.noise import Sieve, digest_of
from tocsin.model.changes import Change, Delete, Hold, Put
from tocsin.model.delivery import Delivery
from tocsin.model.names import Scope
from tocsin.model.noise import Held, Window
from tocsin.model.rule import Rule, Target

# Keys told apart for one target. Beyond, the one that was used longest ago is forgotten: its next event passes.
NOISE_KEYS_MAX = 10_000
# Targets whose held back deliveries are counted by themselves; those of controls long gone stay among them.
HELD_COUNTED_MAX = 10_000

Place = tuple[str, str]  # a rule's ARN and a target's id


class Quieted(Struct, kw_only=True):
    """A target with a control, and its windows as committed: the one used longest ago first."""

    rule: Rule
    target: Target
    sieve: Sieve
    windows: dict[str, Window]

    @property
    def of_bus(self) -> tuple[Scope, str]:
        return self.rule.scope, self.rule.bus


class Stray(Struct, frozen=True, kw_only=True):
    """A window whose control is gone or was changed, and where a digest of it goes: nowhere once its target is gone."""

    window: Window
    aim: tuple[Rule, Target] | None


class Sifting:
    def __init__(
        self, quieted: dict[Place, Quieted], strays: list[Stray], counts: Counter[str], held: Counter[Place]
    ) -> None:
        self._quieted = quieted
        self._strays = strays
        self._counts = counts
        self._held = held
        self._fresh: dict[Place, dict[str, Window]] = {}
        self._gone: dict[Place, list[Window]] = {}
        self._holds: list[Hold] = []
        # Strays end with the next commit, whoever makes it: a new window may bear the very key of one.
        self._digests = [(*one.aim, one.window) for one in strays if one.aim and one.window.held]

    def through(self, seq: int, deliveries: list[Delivery]) -> list[Delivery]:
        """Those of an event's deliveries that pass. `seq` is the event's place in the journal."""
        passed: list[Delivery] = []
        for delivery in deliveries:
            place = delivery.rule.arn, delivery.target.id
            quieted = self._quieted.get(place)
            if quieted is None or self._passes(place, quieted, seq, delivery):
                passed.append(delivery)
        return passed

    def _passes(self, place: Place, quieted: Quieted, seq: int, delivery: Delivery) -> bool:
        fresh = self._fresh.setdefault(place, {})
        taken = quieted.sieve.take(delivery.event, ChainMap(fresh, quieted.windows))
        for window in taken.windows:
            fresh.pop(window.key, None)  # the one used last stands last
            fresh[window.key] = window
        if taken.ended:
            self._digests.append((quieted.rule, quieted.target, taken.ended))
        if taken.gate:
            held = Held(seq=seq, rule_arn=place[0], target_id=place[1], gate=taken.gate, why=taken.why)
            self._holds.append(Hold(held))
        return not taken.gate

    def close(self, now_ms: int) -> None:
        """End the windows whose digests are due."""
        for place, quieted in self._quieted.items():
            window = quieted.windows.get(quieted.sieve.throttle_key)
            if window and window.held and window.is_over(now_ms):
                self._digests.append((quieted.rule, quieted.target, window))
                self._gone.setdefault(place, []).append(window)

    def digests(self, now_ms: int) -> list[Delivery]:
        """One for each window that ended with something held back. No transformation fits it, so none shapes it."""
        events = [digest_of(window, now_ms) for _, _, window in self._digests]
        return [
            Delivery(event=event, rule=rule, target=target, payload=event.body)
            for event, (rule, target, _) in zip(events, self._digests, strict=True)
        ]

    def changes(self) -> list[Change]:
        """What is to be committed with the deliveries that passed, and the digests."""
        self._forget_keys()
        changes: list[Change] = [Delete(one.window) for one in self._strays]
        for place, fresh in self._fresh.items():
            stored = self._quieted[place].windows
            for key, window in fresh.items():
                before = stored.get(key)
                fresh[key] = replace(window, revision=before.revision + 1 if before else 1)
            changes += map(Put, fresh.values())
        changes += [Delete(window) for windows in self._gone.values() for window in windows]
        return changes + self._holds

    def committed(self) -> None:
        """The changes are durable: remember them."""
        for place, fresh in self._fresh.items():
            windows = self._quieted[place].windows
            for key, window in fresh.items():
                windows.pop(key, None)
                windows[key] = window
        for place, gone in self._gone.items():
            for window in gone:
                del self._quieted[place].windows[window.key]
        self._strays.clear()
        for place, count in Counter((one.held.rule_arn, one.held.target_id) for one in self._holds).items():
            if place in self._held or len(self._held) < HELD_COUNTED_MAX:
                self._held[place] += count
        self._counts.update(held=len(self._holds), digests=len(self._digests))

    def _forget_keys(self) -> None:
        for place, fresh in self._fresh.items():
            windows = self._quieted[place].windows
            excess = len(windows.keys() | fresh.keys()) - NOISE_KEYS_MAX
            if excess > 0:
                oldest = [window for key, window in windows.items() if key not in fresh][:excess]
                self._gone.setdefault(place, []).extend(oldest)
                self._counts["forgotten_keys"] += len(oldest)
