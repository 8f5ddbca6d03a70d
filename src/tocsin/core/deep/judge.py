"""Results of the nodes of a group -> who passed, and why the others did not. The planner calls it when all have ended.

A wrong result fails at once. A slow one is held against the median of the group's earlier results, and against the data
sheet's floor. Of pairs that do not reach each other, the node fails that none of its peers reaches.
"""

from collections.abc import Iterable, Mapping
from statistics import median

from msgspec import Struct

from tocsin.core.deep.floors import floor_of
from tocsin.core.faults import Catalogue, HealthPolicy, assess
from tocsin.model.deep import CheckResult, DeepCheck, DeepKind
from tocsin.model.health import Finding, Known

# A median of fewer results says nothing; of more than these nobody learns more.
BASELINE_MIN = 3
BASELINE_KEPT_MAX = 32
# The fault types for what fails here: something wrong, or only too slow. The catalogue says what is done about them.
WRONG, SLOW = "deep-check", "deep-check-slow"
FAULTS = (WRONG, SLOW)
SOURCE = "deep"
WHY_CHARS_MAX = 300


class Judged(Struct, frozen=True, kw_only=True):
    """`wrong` and `slow` are sentences, each about one test; none: passed. `pairs` are the peers it did not reach."""

    wrong: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.wrong and not self.slow


def judge(
    checks: Mapping[str, DeepCheck], baselines: Mapping[str, tuple[float, ...]], policy: HealthPolicy
) -> dict[str, Judged]:
    """By instance id. `checks` are those of one group that ended together."""
    unreached, proven = _unreached(checks), _proven(checks)
    judged = {}
    for instance_id, check in checks.items():
        wrong = [f"{one.test}: {one.detail}" for one in check.results if _its_own_fault(one)]
        wrong += proven.get(instance_id, ())
        if instance_id in unreached:
            wrong.append("InstanceConnectivity: it and its peers do not reach each other")
        slow = filter(None, (_too_slow(one, baselines, policy) for one in check.results))
        judged[instance_id] = Judged(wrong=tuple(wrong), slow=tuple(slow), pairs=_lost(check))
    return judged


def _its_own_fault(one: CheckResult) -> bool:
    return one.outcome == "failed" and not one.peer and not one.culprit


def _proven(checks: Mapping[str, DeepCheck]) -> dict[str, list[str]]:
    """What others prove to be wrong with a node: of its sums in an all-reduce its neighbour knows better."""
    found: dict[str, list[str]] = {}
    for witness, check in checks.items():
        for one in check.results:
            if one.outcome == "failed" and one.culprit:
                found.setdefault(one.culprit, []).append(f"{one.test}: {one.detail}, says {witness}")
    return found


def _lost(check: DeepCheck) -> tuple[str, ...]:
    return tuple(one.peer for one in check.results if one.peer and one.outcome == "failed")


def _unreached(checks: Mapping[str, DeepCheck]) -> set[str]:
    """Nodes that none of their peers reaches; where no peer tried, nodes that reach none of theirs."""
    tried: dict[str, list[bool]] = {key: [] for key in checks}
    for check in checks.values():
        for one in _pairs(check):
            tried.get(one.peer, []).append(one.outcome == "passed")
    found = set()
    for key, check in checks.items():
        reached = tried[key] or [one.outcome == "passed" for one in _pairs(check)]
        if reached and not any(reached):
            found.add(key)
    return found


def _pairs(check: DeepCheck) -> list[CheckResult]:
    connectivity = DeepKind.CONNECTIVITY
    return [one for one in check.results if one.kind == connectivity and one.peer and one.outcome != "skipped"]


def _too_slow(one: CheckResult, baselines: Mapping[str, tuple[float, ...]], policy: HealthPolicy) -> str:
    if one.outcome != "passed" or not one.metric:
        return ""
    floor = floor_of(one.model, one.metric)
    if one.value < floor:
        return f"{one.test}: {_below(one, floor)} of the data sheet's floor"
    earlier = baselines.get(one.metric, ())
    if len(earlier) < BASELINE_MIN:
        return ""
    percent = policy.deep_gpu_percent_min if one.metric.startswith("gpu-") else policy.deep_host_percent_min
    least = median(earlier) * percent / 100
    return f"{one.test}: {_below(one, least)} ({percent:g} % of the group's median)" if one.value < least else ""


def _below(one: CheckResult, least: float) -> str:
    """In the words HyperPod's logs have for it."""
    return (
        f"{one.metric} has less than threshold: Expected minimum threshold :{least:.4g},"
        f"output: {one.value:.4g} {one.unit}"
    )


def grown(baselines: Mapping[str, tuple[float, ...]], passed: Iterable[DeepCheck]) -> dict[str, tuple[float, ...]]:
    """The baselines with what nodes reached that passed."""
    after = dict(baselines)
    for check in passed:
        for one in check.results:
            if one.metric and one.outcome == "passed":
                after[one.metric] = (*after.get(one.metric, ()), one.value)[-BASELINE_KEPT_MAX:]
    return after


def failing(known: Iterable[Known], judged: Judged, at_ms: int, catalogue: Catalogue) -> tuple[Known, ...]:
    """What a node has that did not pass. Its fault is one like any other from here on."""
    text = "; ".join((*judged.wrong, *judged.slow))[:WHY_CHARS_MAX]
    name = WRONG if judged.wrong else SLOW
    return assess(known, Finding(fault=name, at_ms=at_ms, text=text, source=SOURCE), catalogue)
