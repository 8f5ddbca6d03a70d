"""A carrier for those who still want to hear: what waited for somebody who unsubscribed meanwhile is given up."""

from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.model.topic import Subscription
from tocsin.ports import Carrier, Store

ENDED = Outcome(verdict=Verdict.NEVER, code="NO_RESOURCE", message="The subscription has ended.")


class Subscribed:
    """Looks at `about["subscription"]`, a subscription's key; what has none (a question, a good-bye) is carried."""

    def __init__(self, carrier: Carrier, store: Store) -> None:
        self._carrier = carrier
        self._store = store

    async def carry(self, outbound: Outbound) -> Outcome:
        key = outbound.about.get("subscription")
        if key:
            found = await self._store.get(Subscription, outbound.scope, key)
            if found is None or not found.confirmed:
                return ENDED
        return await self._carrier.carry(outbound)
