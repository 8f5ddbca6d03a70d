"""Noise control beside the router: which targets have one, and what it remembers of each.

The router and the digests take turns (`turn`): one sifting goes from its beginning until its changes are committed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tocsin.core.noise import Sieve, from_tags
from tocsin.model.errors import Validation
from tocsin.model.names import Scope
from tocsin.model.noise import Control, NoiseSetting, Window
from tocsin.model.rule import Rule, Target
from tocsin.model.tags import Tags
from tocsin.ports import Store
from tocsin.services.sifting import Place, Quieted, Sifting, Stray

log = logging.getLogger(__name__)


class Controls(Struct, frozen=True):
    """What is asked for: by rules' tags, and by our own operation, which counts first."""

    tags: Mapping[str, Mapping[str, str]]
    settings: Mapping[Place, Control]

    def of(self, rule: Rule, target: Target) -> Control | None:
        control = self.settings.get((rule.arn, target.id))
        if control is None and rule.arn in self.tags:
            try:
                control = from_tags(self.tags[rule.arn], target.id)
            except Validation as error:
                log.warning("noise control of target %s of rule %s is off: %s", target.id, rule.arn, error.message)
        return control


class Noise:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._quieted: dict[Place, Quieted] = {}
        self._stray: list[Stray] = []
        self.turn = asyncio.Lock()
        self.counts: Counter[str] = Counter(held=0, digests=0, forgotten_keys=0)
        self.held: Counter[Place] = Counter()

    async def load(self, rules: Sequence[Rule]) -> None:
        """All controls, and what the store knows that they remember."""
        self._quieted.clear()
        self._stray.clear()
        self._take_up(rules, await self._controls(None, ""), await self._store.find(Window))

    async def reload(self, scope: Scope, bus: str, rules: Sequence[Rule]) -> None:
        """The controls of one bus, of which something was changed: rules, targets, tags, settings. Within a turn."""
        controls = await self._controls(scope, f"{bus}/")
        of_bus = [place for place, one in self._quieted.items() if one.of_bus == (scope, bus)]
        windows = [window for place in of_bus for window in self._quieted.pop(place).windows.values()]
        self._take_up(rules, controls, windows)

    @property
    def quiet(self) -> bool:
        """Nothing is controlled, and nothing is left of what was."""
        return not self._quieted and not self._stray

    def controls(self, rule: Rule) -> dict[str, Control]:
        """The controls of a rule's targets, by the targets' ids."""
        places = {target.id: self._quieted.get((rule.arn, target.id)) for target in rule.targets}
        return {target_id: one.sieve.control for target_id, one in places.items() if one}

    def sifting(self) -> Sifting:
        """For one batch, within a turn. It changes nothing before it is committed."""
        return Sifting(self._quieted, self._stray, self.counts, self.held)

    async def _controls(self, scope: Scope | None, prefix: str) -> Controls:
        tags = {one.arn: one.tags for one in await self._store.find(Tags, scope) if ":rule/" in one.arn}
        settings = await self._store.find(NoiseSetting, scope, prefix=prefix)
        return Controls(tags, {(one.rule_arn, one.target_id): one.control for one in settings})

    def _take_up(self, rules: Sequence[Rule], controls: Controls, windows: Iterable[Window]) -> None:
        """Windows go on under the control they were made under. Others are stray, and come to their end."""
        for rule in rules if controls.tags or controls.settings else ():
            for target in rule.targets:
                if control := controls.of(rule, target):
                    sieve = Sieve(scope=rule.scope, bus=rule.bus, rule=rule.name, target_id=target.id, control=control)
                    self._quieted[rule.arn, target.id] = Quieted(rule=rule, target=target, sieve=sieve, windows={})
        aims = {(rule.arn, target.id): (rule, target) for rule in rules for target in rule.targets}
        for window in windows:
            place = window.rule_arn, window.target_id
            quieted = self._quieted.get(place)
            if quieted and quieted.sieve.control == window.control:
                quieted.windows[window.key] = window
            else:
                self._stray.append(Stray(window=window, aim=aims.get(place)))
