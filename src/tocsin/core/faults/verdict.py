"""What is known of a node's faults -> healthy or not, what shall be done, and when time alone changes that. Pure.

The ladder: the repair that the worst fault asks for; what was tried for it at this place before, and did not last, is
not tried again, but the next rung is taken.
"""

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


def weigh(known: Sequence[Known], mended: Iterable[Mended], policy: HealthPolicy, now_ms: int) -> Verdict:
    """The verdict on a node with these faults, whose place was mended so before."""
    counting = [one for one in known if counts(one, now_ms) and unhealthy(one)]
    wake_ms = min((at for one in known for at in _turns(one, now_ms)), default=0)
    if not counting:
        return Verdict(wake_ms=wake_ms)
    worst = max(counting, key=lambda one: _weight(one, _asked(one, known)))
    wanted = _asked(worst, known)
    if worst.judged.observe:
        return Verdict(worst=worst, wanted=wanted, why=f"{worst.name} is only observed", wake_ms=wake_ms)
    remedy, why = _rung(worst, wanted, list(mended), policy, now_ms)
    return Verdict(worst=worst, wanted=wanted, remedy=remedy, why=why, wake_ms=wake_ms)


def unhealthy(known: Known) -> bool:
    return SEVERITIES.index(known.judged.severity) >= SEVERITIES.index(Severity.ERROR)


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
    worst: Known, wanted: Remedy, mended: Sequence[Mended], policy: HealthPolicy, now_ms: int
) -> tuple[Remedy, str]:
    """Where the ladder stands. A GPU cannot be reset from here, so a reboot takes that rung."""
    remedy, why = (Remedy.REBOOT, "a reboot resets the GPU") if wanted is Remedy.GPU_RESET else (wanted, "")
    if remedy is Remedy.REBOOT:
        window_s = policy.reboots_window_s
        tried = _tried(worst, mended, Remedy.REBOOT, window_s, now_ms)
        if tried >= policy.reboots_max:
            remedy, why = Remedy.REPLACE, f"rebooted {_times(tried)} for {worst.name} within {window_s:g} s"
    if remedy is Remedy.REPLACE:
        window_s = policy.replacements_window_s
        tried = _tried(worst, mended, Remedy.REPLACE, window_s, now_ms)
        if tried >= policy.replacements_max:
            return Remedy.QUARANTINE, f"replaced {_times(tried)} for {worst.name} within {window_s:g} s"
    return (Remedy.NONE if remedy is Remedy.APP else remedy), why


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _tried(worst: Known, mended: Iterable[Mended], remedy: Remedy, window_s: float, now_ms: int) -> int:
    since_ms = now_ms - window_s * 1000
    return sum(one.fault == worst.name and one.remedy is remedy and one.at_ms >= since_ms for one in mended)
