"""Programs that test hardware better than we do, where they are installed: stress-ng, fio. For DCGM see dcgm.py."""

import subprocess
from pathlib import Path

import msgspec

from tocsin.model.deep import CheckResult, DeepKind

# They get so much longer than they are told to run.
SLACK_S = 60.0
TAIL_CHARS = 300


def stress_ng(seconds: float, memory_bytes: int) -> CheckResult:
    """Two processes share the memory between them."""
    memory, time_limit = f"{memory_bytes}b", f"{max(1, round(seconds))}s"
    loads = ("--cpu", "0", "--vm", "2", "--vm-bytes", memory, "--verify", "--timeout", time_limit)
    return _run("cpu and memory by stress-ng", ("stress-ng", *loads, "--metrics-brief"), seconds + SLACK_S)


class _Way(msgspec.Struct):
    bw_bytes: float = 0.0


class _Job(msgspec.Struct):
    write: _Way
    read: _Way
    error: int = 0


class _Fio(msgspec.Struct):
    jobs: tuple[_Job, ...]


def fio(seconds: float, scratch: Path, size: int) -> CheckResult:
    test = "disk by fio"
    argv = (
        *("fio", "--name=tocsin", f"--filename={scratch}", f"--size={size}", "--rw=write", "--bs=1M", "--end_fsync=1"),
        *("--verify=crc32c", "--do_verify=1", "--verify_fatal=1", f"--loops={max(1, round(seconds / 10))}"),
        *("--verify_state_save=0", "--output-format=json"),  # no file of its own beside the scratch one
    )
    try:
        ended = subprocess.run(argv, capture_output=True, timeout=seconds + SLACK_S, check=False)
    except subprocess.TimeoutExpired:
        return _failed(test, f"it did not end within {seconds + SLACK_S:g} s")
    finally:
        scratch.unlink(missing_ok=True)
    if ended.returncode:
        return _failed(test, f"exit code {ended.returncode}: {_tail(ended.stderr or ended.stdout)}")
    try:
        job = msgspec.json.decode(ended.stdout, type=_Fio).jobs[0]
    except (msgspec.MsgspecError, IndexError) as error:
        return _failed(test, f"its answer cannot be read: {error}")
    speed = job.write.bw_bytes / 1e6
    stress = DeepKind.STRESS
    return CheckResult(kind=stress, test=test, outcome="passed", metric="fio-write-mbs", value=speed, unit="MB/s")


def _run(test: str, argv: tuple[str, ...], time_limit_s: float) -> CheckResult:
    try:
        ended = subprocess.run(argv, capture_output=True, timeout=time_limit_s, check=False)
    except subprocess.TimeoutExpired:
        return _failed(test, f"it did not end within {time_limit_s:g} s")
    if ended.returncode:
        return _failed(test, f"exit code {ended.returncode}: {_tail(ended.stderr or ended.stdout)}")
    return CheckResult(kind=DeepKind.STRESS, test=test, outcome="passed", detail=_tail(ended.stdout or ended.stderr))


def _failed(test: str, detail: str) -> CheckResult:
    return CheckResult(kind=DeepKind.STRESS, test=test, outcome="failed", detail=detail)


def _tail(output: bytes) -> str:
    return " ".join(output.decode(errors="replace").split())[-TAIL_CHARS:]
