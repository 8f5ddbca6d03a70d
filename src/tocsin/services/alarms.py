"""Alarms: their states, set by whoever measures. The fleet asks which ring while it updates software."""

from collections.abc import Callable

from tocsin.model.alarm import Alarm, AlarmState
from tocsin.model.changes import Put
from tocsin.model.errors import LimitExceeded
from tocsin.model.names import Scope
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store

ALARMS_MAX = 10_000  # of one account and region: they are all held in memory


class Alarms:
    """`changed` is told the scope whose alarm is another than before."""

    def __init__(self, store: Store, clock: Clock, changed: Callable[[Scope], None]) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self._alarms: dict[Scope, dict[str, Alarm]] = {}

    async def load(self) -> None:
        for alarm in await self._store.find(Alarm):
            self._alarms.setdefault(alarm.scope, {})[alarm.name] = alarm

    def of(self, scope: Scope) -> list[Alarm]:
        return sorted(self._alarms.get(scope, {}).values(), key=lambda alarm: alarm.name)

    def ringing(self, scope: Scope) -> frozenset[str]:
        return frozenset(alarm.name for alarm in self.of(scope) if alarm.state is AlarmState.ALARM)

    async def set(self, scope: Scope, name: str, state: AlarmState, reason: str) -> Alarm:
        """Raises Stale when somebody else sets it at the same time, LimitExceeded when there are too many."""
        known = self._alarms.setdefault(scope, {})
        before = known.get(name)
        if before is None and len(known) >= ALARMS_MAX:
            raise LimitExceeded(f"There are {ALARMS_MAX} alarms already.")
        alarm = Alarm(
            scope=scope,
            revision=before.revision + 1 if before else 1,
            name=name,
            state=state,
            reason=reason,
            set_ms=epoch_ms(self._clock.now()),
        )
        await self._store.commit(Put(alarm))
        known[name] = alarm
        self._changed(scope)
        return alarm
