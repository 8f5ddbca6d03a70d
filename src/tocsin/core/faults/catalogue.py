"""The table of faults, read from data: catalogue.toml, codes.json and a site's own changes. Pure: bytes in.

Agents diagnose with it, the server judges with it, docs/faults.md is made from it.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tocsin.model.errors import TocsinError
from tocsin.model.health import Clearing, Judgement, Remedy, Severity, Terms

Profile = Literal["nvidia", "hyperpod", "strict"]
# What may be done about a driver's code, the mildest first; core/faults/codes.py says what each means.
Action = Literal[
    "none",
    "report",
    "monitor",
    "app",
    "software",
    "idle-check",
    "idle-reset",
    "gpu-reset",
    "reboot",
    "replace",
    "decode",
]


Span = Annotated[float, Meta(ge=0)]  # seconds
Times = Annotated[int, Meta(ge=1)]


class CatalogueError(TocsinError):
    """The table, or a site's changes of it, cannot be used; the text says what is wrong."""


_WORDS = {"fault_type": "type", "remedy": "repair"}  # as the files have them


class Fault(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_WORDS):
    """One fault type. catalogue.toml says what the fields mean."""

    name: str
    title: str
    pattern: str = ""
    over: str = ""
    check: str = ""
    above: float | None = None
    below: float | None = None
    leave: float | None = None
    times: int = 1
    counter: bool = False
    per_s: bool = False
    drains_per_s: float = 0.0
    lasts_s: float = 0.0
    stays_s: float = 0.0
    table: Literal["", "xid", "sxid"] = ""
    same_as: str = ""
    severity: Severity = Severity.WARNING
    remedy: Remedy = Remedy.NONE
    clears: Clearing = Clearing.HUMAN
    fault_type: str = ""  # of Terms too, but a file's word for it holds for what is declared here

    def judgement(self) -> Judgement:
        return msgspec.convert(self, Judgement, from_attributes=True)


class Again(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule of history: what is done when the same GPU, or NVSwitch, has it for the `count`th time within
    `within_s`."""

    count: int
    within_s: float
    action: Action
    profiles: tuple[Profile, ...]


class Code(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A driver's code and what each profile does about it.

    It counts when seen `count` times within `window_s`; not if `unless` comes on the same GPU within `settle_s`;
    and if `alone`, not beside another code of the same GPU at the same moment. On several nodes of a cluster within
    `together_s` it is the job's fault, and no node's; a GPU that has it `suspect_count` times alone is suspected.
    `again` is its rule of history, `where` finds in the line the place in the GPU that has to be the same. `speaks`: it
    speaks against the machine, though little or nothing is done about it.
    """

    code: int
    name: str
    nvidia: Action
    hyperpod: Action
    strict: Action
    count: int = 1
    window_s: float = 0.0
    unless: int = 0
    settle_s: float = 0.0
    alone: bool = False
    together_s: float = 0.0
    suspect_count: int = 0
    again: Again | None = None
    where: str = ""
    speaks: bool = False

    def action(self, profile: Profile) -> Action:
        found: Action = getattr(self, profile)
        return found


class NvlinkRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an NVLink code (144 to 150) means in detail: by unit, masked bits of the first word, and error status."""

    code: int
    units: tuple[str, ...]
    intr: tuple[tuple[int, int], ...]  # (mask, value), of either version of the hardware
    status: int
    action: Action


class Registers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What bits of one of Xid 74's register words mean. `word` counts from 0, bits from the lowest. `again`: what they
    mean when they come again within the time of the code's rule of history."""

    word: int
    bits: tuple[int, ...]
    action: Action
    again: Action | None = None


class Codes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    xid: tuple[Code, ...]
    sxid: tuple[Code, ...]
    registers: tuple[Registers, ...] = ()
    nvlink5: tuple[NvlinkRule, ...]


class Changed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_WORDS):
    """A site's changes of one fault type: what is set replaces what the table says."""

    action: Action | None = None
    severity: Severity | None = None
    remedy: Remedy | None = None
    clears: Clearing | None = None
    quiet_s: Span | None = None
    needed: Times | None = None
    window_s: Span | None = None
    settle_s: Span | None = None
    at_idle: bool | None = None
    fault_type: str | None = None
    reason: str | None = None
    advice: str | None = None

    def judgement(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in named.items() if value is not None and name != "action"}


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hyperpod_types: tuple[str, ...] = ()
    gpus: dict[str, int] = field(default_factory=dict)
    fault: tuple[Fault, ...] = ()
    change: dict[str, Changed] = field(default_factory=dict)


class Sign(Struct, frozen=True):
    """A pattern, compiled, of a fault's coming or going."""

    fault: Fault
    pattern: re.Pattern[str]
    over: bool


class Catalogue(Struct, frozen=True, kw_only=True):
    """All there is to know of faults. `observed` are the types of which nothing but a record is made."""

    profile: Profile
    faults: dict[str, Fault]
    signs: tuple[Sign, ...]
    by_check: dict[str, tuple[Fault, ...]]
    xids: dict[int, Code]
    sxids: dict[int, Code]
    registers: tuple[Registers, ...]
    nvlink5: tuple[NvlinkRule, ...]
    changes: dict[str, Changed]
    gpus: dict[str, int]
    hyperpod_types: tuple[str, ...]
    observed: frozenset[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Whether a name is that of a fault type: disk-full, xid, xid-79."""
        family, _, code = name.rpartition("-")
        table = {"xid": self.xids, "sxid": self.sxids}.get(family, {})
        return name in self.faults or (code.isdecimal() and int(code) in table)


def read_catalogue(
    table: bytes,
    codes: bytes = b"",
    changes: bytes = b"",
    *,
    profile: Profile = "nvidia",
    observed: frozenset[str] = frozenset(),
) -> Catalogue:
    """The catalogue out of its files. Agents need no codes. Raises CatalogueError."""
    shipped, own = _read(table), _read(changes)
    faults = {fault.name: fault for fault in (*shipped.fault, *own.fault)}
    by_check: dict[str, tuple[Fault, ...]] = {}
    for fault in faults.values():
        if fault.check:
            by_check[fault.check] = (*by_check.get(fault.check, ()), fault)
    coded = msgspec.json.decode(codes, type=Codes) if codes else Codes(xid=(), sxid=(), nvlink5=())
    catalogue = Catalogue(
        profile=profile,
        faults=faults,
        signs=tuple(sign for fault in faults.values() for sign in _signs(fault)),
        by_check=by_check,
        xids={code.code: code for code in coded.xid},
        sxids={code.code: code for code in coded.sxid},
        registers=coded.registers,
        nvlink5=coded.nvlink5,
        changes=own.change,
        gpus=shipped.gpus | own.gpus,
        hyperpod_types=shipped.hyperpod_types,
        observed=observed,
    )
    if codes:
        _check(catalogue)
    return catalogue


def _read(table: bytes) -> _Table:
    try:
        return msgspec.toml.decode(table, type=_Table)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the table of faults cannot be read: {error}") from error


def _signs(fault: Fault) -> list[Sign]:
    try:
        pairs = ((fault.pattern, False), (fault.over, True))
        return [Sign(fault, re.compile(pattern), over) for pattern, over in pairs if pattern]
    except re.error as error:
        raise CatalogueError(f"fault {fault.name}: the pattern is no regular expression: {error}") from error


def _check(catalogue: Catalogue) -> None:
    named = [fault.same_as for fault in catalogue.faults.values() if fault.same_as]
    unknown = [name for name in (*named, *catalogue.changes, *catalogue.observed) if not catalogue.knows(name)]
    if unknown:
        raise CatalogueError(f"there is no fault type {unknown[0]}: docs/faults.md lists them")
    for name, change in catalogue.changes.items():
        if change.action is not None and name in catalogue.faults:
            raise CatalogueError(f"{name} is no code of the driver and takes no action: say what mends it as repair")
