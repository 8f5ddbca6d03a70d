"""DCGM's diagnostics, where its site has installed them: `dcgmi diag -j`, and what its answer amounts to.

Called by gpus.py. Both forms are read, that of DCGM 3 and that of 4. Its exit code counts for little: it is not 0 for a
setting of the node as well, and a setting proves nothing about a GPU.
"""

import subprocess
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct, field

from tocsin.model.deep import CheckResult, DeepKind

Outcome = Literal["passed", "failed", "skipped"]
ROOTS = ("DCGM Diagnostic", "DCGM GPU Diagnostic")  # of 4, and of 3
FAILED, PASSED = "fail", "pass"
# dcgm_errors.h, dcgmErrorSeverity_t: what may go on under observation, and what is to be set otherwise.
MONITOR, CONFIG = 1, 5
# DCGM 3 tells no severity; these tests of its are about the node's software.
SOFTWARE = frozenset(
    {
        "denylist",
        "nvml library",
        "cuda main library",
        "cuda toolkit libraries",
        "permissions and os blocks",
        "persistence mode",
        "environment variables",
        "graphics processes",
    }
)
# Words of those that say that nothing was tested: no host engine is there, or the GPU is none of DCGM's.
NOT_TESTED = ("connection", "connect to", "unsupported", "not supported")
DETAIL_CHARS_MAX = 300


class Warned(Struct, frozen=True):
    warning: str = ""
    error_severity: int = 0


class Told(Struct, frozen=True):
    """Of one GPU, or other part; of the software of DCGM 3, of all GPUs together."""

    status: str = ""
    warnings: tuple[Warned | str, ...] | str = ()
    gpu_id: str | int = ""
    gpu_ids: str | int = ""
    entity_group: str = ""
    entity_id: str | int = ""

    @property
    def part(self) -> str:
        gpu = self.entity_id if self.entity_group else self.gpu_id if self.gpu_id != "" else self.gpu_ids
        return f" of {self.entity_group or 'GPU'} {gpu}" if gpu != "" else ""

    @property
    def warned(self) -> tuple[Warned, ...]:
        every = (self.warnings,) if isinstance(self.warnings, str) else self.warnings
        return tuple(Warned(one) if isinstance(one, str) else one for one in every)


class Test(Struct, frozen=True):
    name: str = ""
    results: tuple[Told, ...] = ()


class Category(Struct, frozen=True):
    tests: tuple[Test, ...] = ()


class Answer(Struct, frozen=True):
    runtime_error: str = ""
    test_categories: tuple[Category, ...] = ()


class Found(Struct):
    """Sentences about what failed, what is only set otherwise, and how many results passed."""

    failed: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    passed: int = 0


def diagnose(level: int, time_limit_s: float) -> CheckResult:
    test = f"DCGM diagnostics level {level}"
    argv = ("dcgmi", "diag", "-r", str(level), "-j")
    try:
        ended = subprocess.run(argv, capture_output=True, timeout=time_limit_s, check=False)
    except subprocess.TimeoutExpired:
        return _result(test, "failed", f"it did not end within {time_limit_s:g} s")
    outcome, detail = judged(ended.stdout, ended.stderr, ended.returncode)
    return _result(test, outcome, detail)


def _result(test: str, outcome: Outcome, detail: str) -> CheckResult:
    return CheckResult(kind=DeepKind.STRESS, test=test, outcome=outcome, detail=detail[:DETAIL_CHARS_MAX])


def judged(output: bytes, errors: bytes, code: int) -> tuple[Outcome, str]:
    """What DCGM's answer amounts to, and why."""
    answer = read(output)
    if answer is None or answer.runtime_error:
        why = answer.runtime_error if answer else " ".join((output + b" " + errors).decode(errors="replace").split())
        tested = code != 0 and not any(word in why.lower() for word in NOT_TESTED)
        return ("failed" if tested else "skipped"), f"exit code {code}: {why}"
    found = Found()
    for category in answer.test_categories:
        for test in category.tests:
            _sort(test, found)
    if found.failed:
        return "failed", "; ".join(found.failed)
    noted = "; ".join(found.noted)
    if not found.passed:
        return "skipped", noted or "DCGM skipped all its tests"
    return "passed", f"{found.passed} results passed" + (f"; not about the hardware: {noted}" if noted else "")


def read(output: bytes) -> Answer | None:
    """The answer, behind whatever is printed before it; None where there is none."""
    begin, end = output.find(b"{"), output.rfind(b"}")
    try:
        roots = msgspec.json.decode(output[begin : end + 1], type=dict[str, msgspec.Raw])
        return next((msgspec.json.decode(roots[root], type=Answer) for root in ROOTS if root in roots), None)
    except msgspec.MsgspecError:
        return None


def _sort(test: Test, found: Found) -> None:
    for told in test.results:
        status = told.status.lower()
        found.passed += status.startswith(PASSED)
        if status.startswith(FAILED):
            words = ", ".join(filter(None, (one.warning for one in told.warned))) or "no reason is told"
            mild = test.name.lower() in SOFTWARE or _mild(told.warned)
            (found.noted if mild else found.failed).append(f"{test.name}{told.part}: {words}")


def _mild(warned: Iterable[Warned]) -> bool:
    """Whether all that is told says of itself that it is no reason to take the GPU away."""
    severities = {one.error_severity for one in warned}
    return bool(severities) and severities <= {MONITOR, CONFIG}
