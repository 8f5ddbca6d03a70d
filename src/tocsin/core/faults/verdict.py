"""What is known of a node's faults -> healthy or not, what shall be done, and when time alone changes that. Pure.

The ladder: the repair that the worst fault asks for; what was tried for it at this place before, and did not last, is
not tried again, but the next rung is taken. A restart of the node resets its GPUs, so none is reset before one.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from tocsin.core.faults.assess import lapses_ms, often
from tocsin.core.faults.codes import RECOVERY_CHANGED
from tocsin.core.faults.policy import HealthPolicy
from tocsin.model.health import REMEDIES, SEVERITIES, Known, Mended, Remedy, Severity


class Verdict(Struct, frozen=True, kw_only=True):
    """`worst` is the fault that decides; None: the node is healthy. `wanted` is what the fault asks for, `remedy` the
    rung the ladder is at; `why` says why they differ. `wake_ms`: when time alone may change it; 0: never."""

    worst: Known | None = None
    wanted: Remedy = Remedy.NONE
    remedy: Remedy = Remedy.NONE
    why: str = ""
    wake_ms: int = 0

    @property
    def healthy(self) -> bool:
        return self.worst is None


# A GPU's PCI address, as its driver writes it.
_GPU = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(\.\d)?")
_RESTARTS = (Remedy.REBOOT, Remedy.REPLACE)
_OF_LEMONS = {"quarantine": Remedy.QUARANTINE, "replace": Remedy.REPLACE}


def weigh(
    known: Sequence[Known],
    mended: Iterable[Mended],
    policy: HealthPolicy,
    now_ms: int,
    *,
    resets: bool = False,
    idle: bool = False,
    lemon: str = "",
) -> Verdict:
    """The verdict on a node with these faults, whose place was mended so before. `resets`: it can reset GPUs. `idle`:
    no job runs there, so what waits for that counts. `lemon` says why its machine is one."""
    counting = [one for one in known if counts(one, now_ms) and unhealthy(one, idle=idle)]
    wake_ms = min((at for one in known for at in _turns(one, now_ms)), default=0)
    if not counting:
        return Verdict(wake_ms=wake_ms)
    worst = max(counting, key=lambda one: _weight(one, _asked(one, known)))
    wanted = _asked(worst, known)
    if worst.judged.observe:
        return Verdict(worst=worst, wanted=wanted, why=f"{worst.name} is only observed", wake_ms=wake_ms)
    before = list(mended)

    def rung(one: Known) -> tuple[Remedy, str]:
        return _rung(one, _asked(one, known), before, policy, now_ms, resets=resets, lemon=lemon)

    remedy, why = rung(worst)
    if remedy is Remedy.GPU_RESET:
        acting = [one for one in counting if not one.judged.observe]
        worst = next((one for one in acting if rung(one)[0] in _RESTARTS), worst)
        wanted, (remedy, why) = _asked(worst, known), rung(worst)
    return Verdict(worst=worst, wanted=wanted, remedy=remedy, why=why, wake_ms=wake_ms)


def gpus_to_reset(known: Sequence[Known], now_ms: int, *, idle: bool = False) -> tuple[str, ...]:
    """All GPUs whose faults ask for a reset now: they are reset together."""
    asking = [one for one in known if counts(one, now_ms) and unhealthy(one, idle=idle) and not one.judged.observe]
    found = [one.subject for one in asking if _asked(one, known) is Remedy.GPU_RESET and _of_gpu(one)]
    return tuple(dict.fromkeys(found))


def _of_gpu(one: Known) -> bool:
    """Whether it is known which GPU has it. An NVSwitch has an address too, and is none."""
    return one.fault != "sxid" and _GPU.fullmatch(one.subject) is not None


def unhealthy(known: Known, *, idle: bool = False) -> bool:
    waited_for = idle and known.judged.at_idle and known.judged.remedy is not Remedy.CHECK
    return waited_for or SEVERITIES.index(known.judged.severity) >= SEVERITIES.index(Severity.ERROR)


def counts(known: Known, now_ms: int) -> bool:
    """Whether it was seen often enough, for long enough, and is not over."""
    return _settled(known, now_ms) and often(known) and not (0 < lapses_ms(known) <= now_ms)


def _settled(known: Known, now_ms: int) -> bool:
    return now_ms >= known.since_ms + known.judged.settle_s * 1000


def _turns(known: Known, now_ms: int) -> list[int]:
    """The moments to come at which this fault begins or ceases to count."""
    times = [known.since_ms + int(known.judged.settle_s * 1000), lapses_ms(known)]
    return [at for at in times if at > now_ms]


def _asked(one: Known, known: Sequence[Known]) -> Remedy:
    """The repair a fault asks for. What the driver itself asks for (Xid 154) decides for that GPU."""
    for other in known:
        if other.code == RECOVERY_CHANGED and other.fault == one.fault == "xid" and other.subject == one.subject:
            return other.judged.remedy
    return one.judged.remedy


def _weight(one: Known, asked: Remedy) -> tuple[bool, int, int, int]:
    return (
        not one.judged.observe,
        REMEDIES.index(asked),
        SEVERITIES.index(one.judged.severity),
        -one.since_ms,
    )


def _rung(
    worst: Known,
    wanted: Remedy,
    mended: Sequence[Mended],
    policy: HealthPolicy,
    now_ms: int,
    *,
    resets: bool,
    lemon: str,
) -> tuple[Remedy, str]:
    """Where the ladder stands. A lemon leaves out its lower rungs."""
    remedy, why = wanted, ""
    if lemon and remedy in (Remedy.GPU_RESET, Remedy.REBOOT):
        remedy, why = _OF_LEMONS[policy.lemon_repair], lemon
    if remedy is Remedy.GPU_RESET:
        no_reset = _no_reset(worst, mended, policy, now_ms) if resets and _of_gpu(worst) else "a reboot resets the GPU"
        remedy, why = (Remedy.REBOOT, no_reset) if no_reset else (remedy, why)
    if remedy is Remedy.REBOOT:
        window_s = policy.reboots_window_s
        tried = len(_tried(worst, mended, Remedy.REBOOT, window_s, now_ms))
        if tried >= policy.reboots_max:
            remedy, why = Remedy.REPLACE, _worn(worst, "rebooted", tried, window_s)
    if remedy is Remedy.REPLACE:
        window_s = policy.replacements_window_s
        tried = len(_tried(worst, mended, Remedy.REPLACE, window_s, now_ms))
        if tried >= policy.replacements_max:
            return Remedy.QUARANTINE, _worn(worst, "replaced", tried, window_s)
    return (Remedy.NONE if remedy in (Remedy.APP, Remedy.CHECK) else remedy), why


def _no_reset(worst: Known, mended: Sequence[Mended], policy: HealthPolicy, now_ms: int) -> str:
    """Why its GPU is not reset (again); "" when it is to be."""
    window_s = policy.gpu_resets_window_s
    tried = _tried(worst, mended, Remedy.GPU_RESET, window_s, now_ms)
    failed = [one.failed for one in tried if one.failed]
    if failed:
        return f"its GPU could not be reset: {failed[-1]}"
    return _worn(worst, "its GPU was reset", len(tried), window_s) if len(tried) >= policy.gpu_resets_max else ""


def _worn(worst: Known, done: str, times: int, window_s: float) -> str:
    return f"{done} {_times(times)} for {worst.name} within {window_s:g} s"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _tried(worst: Known, mended: Iterable[Mended], remedy: Remedy, window_s: float, now_ms: int) -> list[Mended]:
    since_ms = now_ms - window_s * 1000
    return [one for one in mended if one.fault == worst.name and one.remedy is remedy and one.at_ms >= since_ms]
