"""Noise control by our own operation: set it for a target, take it away, and see what holds and what it held back."""

from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.noise import control_of, text_of
from tocsin.doors.door import decided
from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import AwsError, StoreUnavailable
from tocsin.model.names import DEFAULT_BUS
from tocsin.model.noise import Control, NoiseSetting
from tocsin.model.records import successor
from tocsin.model.rule import Rule
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.noise import Noise


class Asked(Struct, frozen=True, kw_only=True):
    """`control` as text; empty: none any more."""

    rule: str
    target: str
    bus: str = DEFAULT_BUS
    control: str = ""


_asked = msgspec.json.Decoder(Asked).decode


class NoiseControl:
    def __init__(self, store: Store, bus: Bus, noise: Noise) -> None:
        self._store = store
        self._bus = bus
        self._noise = noise

    async def controls(self, request: Request) -> Response:
        """The controls that hold, of all rules or those of `bus` and `rule`."""
        await self._bus.refreshed()
        scope, query = scope_of(request), request.query_params
        bus, name = query.get("bus"), query.get("rule")
        prefix = f"{bus}/" if bus else ""
        rules = [one for one in await self._store.find(Rule, scope, prefix=prefix) if name in (None, one.name)]
        return answer({"controls": [told for rule in rules for told in await self._told(rule)]})

    async def _told(self, rule: Rule) -> list[dict[str, Any]]:
        controls = self._noise.controls(rule)
        if not controls:
            return []
        prefix = f"{rule.bus}/{rule.name}/"
        settings = {one.target_id for one in await self._store.find(NoiseSetting, rule.scope, prefix=prefix)}
        return [
            {
                "bus": rule.bus,
                "rule": rule.name,
                "target": target_id,
                "control": text_of(control),
                "by": "setting" if target_id in settings else "tag",
                "held": self._noise.held[rule.arn, target_id],
            }
            for target_id, control in controls.items()
        ]

    async def set(self, request: Request) -> Response:
        """Set the control of a target in place of what tags say, or clear it. Answers the rule's controls."""
        scope = scope_of(request)
        try:
            asked = _asked(await request.body())
            control = control_of(asked.control) if asked.control else None
            rule = await self._store.get(Rule, scope, f"{asked.bus}/{asked.rule}")
            if rule is None:
                return refuse(f"There is no rule {asked.rule} on bus {asked.bus}.", 404)
            if control and all(target.id != asked.target for target in rule.targets):
                ids = ", ".join(target.id for target in rule.targets) or "none"
                return refuse(f"Rule {asked.rule} has no target {asked.target}. It has: {ids}.", 404)
            await decided(lambda: self._commit(rule, asked.target, control))
        except msgspec.MsgspecError as error:
            return refuse(f"What is asked cannot be read: {error}")
        except StoreUnavailable as error:
            return refuse(f"The state cannot be written now: {error}", 503)
        except AwsError as error:
            return refuse(error.message, error.status)
        await self._bus.reload(scope, asked.bus)
        await self._bus.refreshed()
        return answer({"controls": await self._told(rule)})

    async def _commit(self, rule: Rule, target_id: str, control: Control | None) -> None:
        old = await self._store.get(NoiseSetting, rule.scope, f"{rule.bus}/{rule.name}/{target_id}")
        if control is None:
            await self._store.commit(*([Delete(old)] if old else []))
        elif old:
            await self._store.commit(Put(successor(old, control=control)))
        else:
            fresh = NoiseSetting(scope=rule.scope, bus=rule.bus, rule=rule.name, target_id=target_id, control=control)
            await self._store.commit(Put(fresh))
