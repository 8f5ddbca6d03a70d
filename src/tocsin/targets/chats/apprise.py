"""Other services (PagerDuty, Discord, …) through apprise, which is an extra: nothing is imported before it is needed.

apprise tells no more than whether a service took a notification, so what it did not take is tried again.
"""

import asyncio
import importlib.util
import logging
from collections.abc import Mapping
from typing import Any

from tocsin.model.outbound import DELIVERED, Outbound, Outcome, Verdict
from tocsin.ports import Clock
from tocsin.targets.chats.pace import ELSEWHERE_PAUSE_S, Pace

MISSING = "apprise is not installed: pip install 'tocsin[apprise]'"
KINDS = {"good": "success", "info": "info", "warning": "warning", "bad": "failure"}

logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings may name addresses, which are secrets


def installed() -> bool:
    return importlib.util.find_spec("apprise") is not None


def known(address: str) -> bool:
    """Whether apprise knows this kind of address; it must be installed."""
    import apprise

    return bool(apprise.Apprise().add(address))


class AppriseCarrier:
    """See ports.Carrier. `addresses` are apprise's URLs by the names that services/chats.py owes by."""

    def __init__(self, addresses: Mapping[str, str], clock: Clock, limit_s: float) -> None:
        self._addresses = addresses
        self._limit_s = limit_s
        self._pace = Pace(clock)
        self._services: dict[str, Any] = {}

    async def carry(self, outbound: Outbound) -> Outcome:
        name = str(outbound.about["service"])
        if name not in self._addresses:
            return Outcome(verdict=Verdict.NEVER, code="NO_RESOURCE", message=f"[chat.apprise] has no {name} any more.")
        if not installed():
            return Outcome(verdict=Verdict.AGAIN, code="INTERNAL_ERROR", message=f"{MISSING}.")
        with self._pace.turn(name, ELSEWHERE_PAUSE_S) as turn:
            if turn.wait_s > 0:
                return Outcome(verdict=Verdict.NOT_YET, after_s=turn.wait_s)
            return await self._notified(name, outbound)

    async def _notified(self, name: str, outbound: Outbound) -> Outcome:
        service = await asyncio.to_thread(self._service, name)  # the first time, it loads a hundred plug-ins
        if not len(service):
            said = f"apprise does not know what kind of address {name} is."
            return Outcome(verdict=Verdict.NEVER, code="INVALID_PARAMETER", message=said)
        kind, title = KINDS.get(str(outbound.about["tone"]), "info"), str(outbound.about["title"])
        try:
            async with asyncio.timeout(self._limit_s):
                taken = await service.async_notify(
                    body=outbound.body, title=title, notify_type=kind, body_format="markdown"
                )
        except TimeoutError:
            said = f"{name} did not answer within {self._limit_s:g} seconds."
            return Outcome(verdict=Verdict.AGAIN, code="TIMEOUT", message=said)
        if taken:
            return DELIVERED
        return Outcome(verdict=Verdict.AGAIN, code="INTERNAL_ERROR", message=f"{name} did not take the notification.")

    def _service(self, name: str) -> Any:
        if name not in self._services:
            import apprise

            self._services[name] = apprise.Apprise()
            self._services[name].add(self._addresses[name])
        return self._services[name]
