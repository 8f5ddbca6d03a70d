"""Where the numbers of /metrics come from. They are kept by those who count; nothing is counted here."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from tocsin.core.histogram import Histogram
from tocsin.ports import NodeLinks, Store
from tocsin.services.bus import Bus
from tocsin.services.fleet import Fleet
from tocsin.services.housekeeping import Housekeeping
from tocsin.services.noise import Noise
from tocsin.services.outbox import Outbox
from tocsin.services.sickness import Sickness


class MeasuredStore(Store, Protocol):
    """A store that counts its commits by their fate, and how long they took."""

    @property
    def commits(self) -> Counter[str]: ...

    @property
    def commit_s(self) -> Histogram: ...


class Sources(Struct, frozen=True, kw_only=True):
    """`counts` are what services count by themselves, by the service's name; `requests` those of the front, `findings`
    those of the nodes' door, by fault and severity."""

    store: MeasuredStore
    bus: Bus
    noise: Noise
    outbox: Outbox
    fleet: Fleet
    links: NodeLinks
    housekeeping: Housekeeping
    sickness: Sickness
    drained_s: Histogram
    lemons: Callable[[], int]
    findings: Counter[tuple[str, str]]
    counts: Mapping[str, Counter[str]]
    requests: Callable[[], Mapping[tuple[str, str, int], int]]
