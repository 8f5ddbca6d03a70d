"""What became of the last attempts at outbound deliveries, by delivery, for people who ask: a tap on every carrier.

In memory only: the outbox keeps what counts. `tocsin notify test` reads it to the end of each hop.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from tocsin.model.names import Scope
from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.ports import Carrier, Store

OUTCOMES_KEPT_MAX = 2_000
WAITING, DELIVERED, AGAIN, GIVEN_UP = "waiting", "delivered", "to be tried again", "given up"


class Attempt(Struct, frozen=True):
    outbound: Outbound
    outcome: Outcome


class Outcomes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, Attempt] = {}

    def note(self, outbound: Outbound, outcome: Outcome) -> None:
        """The oldest are forgotten."""
        self._last.pop(outbound.id, None)
        self._last[outbound.id] = Attempt(outbound, outcome)
        if len(self._last) > OUTCOMES_KEPT_MAX:
            del self._last[next(iter(self._last))]

    def tapped(self, carriers: Mapping[str, Carrier]) -> dict[str, Carrier]:
        return {name: _Tapped(carrier, self) for name, carrier in carriers.items()}

    async def told(self, scope: Scope, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Of each id, in order: how it stands, after how many attempts, and what the last was answered."""
        return [await self._told(scope, one) for one in ids]

    async def _told(self, scope: Scope, outbound_id: str) -> dict[str, Any]:
        last = self._last.get(outbound_id)
        if last is None or last.outbound.scope != scope:
            return {"id": outbound_id, "state": WAITING, "attempts": 0, "answer": ""}
        return {
            "id": outbound_id,
            "state": await self._state(last),
            "attempts": last.outbound.attempts + 1,
            "answer": last.outcome.message,
        }

    async def _state(self, last: Attempt) -> str:
        match last.outcome.verdict:
            case Verdict.DELIVERED:
                return DELIVERED
            case Verdict.NEVER:
                return GIVEN_UP
        owed = await self._store.get(Outbound, last.outbound.scope, last.outbound.key)
        return GIVEN_UP if owed is None else AGAIN


class _Tapped:
    def __init__(self, carrier: Carrier, outcomes: Outcomes) -> None:
        self._carrier = carrier
        self._outcomes = outcomes

    async def carry(self, outbound: Outbound) -> Outcome:
        outcome = await self._carrier.carry(outbound)
        self._outcomes.note(outbound, outcome)
        return outcome
