"""Eight hours of healthy nodes, replayed through the agent's own rounds and the server's verdict: no alarm.

`healthy/` was recorded by bench/record.py; each file is named for what its node did meanwhile. Then one of them is
drawn out to eight hours, and says where: its rounds again, and between them lines and readings documented as harmless.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, cycle, islice, takewhile
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from tests.faults.recording import Entry, Round, read, rounds
from tests.faults.table import BY_PROFILE, NOW_MS, POLICY
from tocsin.agent.checks import Rounds
from tocsin.agent.conditions import Made
from tocsin.core.faults import Catalogue, Profile, assess, diagnose, judge, lapse, weigh
from tocsin.model.health import SEVERITIES, Finding, Known, Severity
from tocsin.model.watching import Watching

RECORDINGS = {
    path.name.removesuffix(".jsonl.gz"): read(path) for path in (Path(__file__).parent / "healthy").glob("*.jsonl.gz")
}
DRAWN_OUT = RECORDINGS["builds"]
HOURS_8_MS = 8 * 3_600_000
ROUND_MS = 10_000
REPEATED, HARMLESS = "repeated", "harmless"

# What a healthy node says now and then: boots, applications that crash (by the policy of codes), corrected errors. The
# facility is the kernel's, but for the last two: what users write is not believed.
LINES = (
    (0, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025"),
    (0, "nvidia-modeset: Loading NVIDIA Kernel Mode Setting Driver for UNIX platforms  580.95.05"),
    (0, "nvidia 0000:b9:00.0: enabling device (0140 -> 0142)"),
    (0, "NVRM: Xid (PCI:0000:b9:00): 13, pid=4242, name=python3, Graphics SM Warp Exception on (GPC 1, TPC 0, SM 0)"),
    (0, "NVRM: Xid (PCI:0000:b9:00): 31, pid=4242, name=python3, Ch 00000008, intr 10000000. MMU Fault"),
    (0, "NVRM: Xid (PCI:0000:ba:00): 43, pid=4243, name=python3, Ch 00000010"),
    (0, "NVRM: Xid (PCI:0000:ba:00): 94, pid=4243, name=python3, Contained: SM (0x1). RST: No, D-RST: No"),
    (0, "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 20034, Non-fatal, Link 30 LTSSM Fault Up"),
    (0, "python3[4242]: segfault at 8 ip 00007f0000000000 sp 00007ffc00000000 error 4 in libc.so.6"),
    (0, "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=job,task_memcg=/job,task=python3,pid=4242,uid=0"),
    (0, "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0"),
    (0, "{1}[Hardware Error]: event severity: corrected"),
    (0, "mlx5_core 0000:5c:00.0 ens1: Link up"),
    (0, "ena 0000:00:05.0 eth0: Local page cache is disabled for less than 16 channels"),
    (0, "EXT4-fs (nvme1n1): mounted filesystem with ordered data mode. Quota mode: none."),
    (0, "EXT4-fs (nvme1n1): re-mounted 00000000-0000-0000-0000-000000000000 ro. Quota mode: none."),
    (0, "nf_conntrack: nf_conntrack: table full, dropping packet"),
    (0, "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:29500. Sending cookies."),
    (0, "perf: interrupt took too long (2519 > 2500), lowering kernel.perf_event_max_sample_rate to 79000"),
    (1, "NVRM: Xid (PCI:0000:b9:00): 79, pid=1, name=x, written by somebody who is root in a container"),
    (3, "EXT4-fs error (device sda1): said by a daemon"),
)
# Single ones of what counts only when it comes again, or lasts.
HICCUPS = (
    "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:77]",
    "INFO: task jbd2/nvme1n1-8:412 blocked for more than 120 seconds.",
    "nvme nvme1: I/O 22 QID 4 timeout, reset controller",
    "nfs: server fs-1 not responding, still trying",
    "nfs: server fs-1 OK",
)
# Readings that swing, and never stay beyond their thresholds for as long as it takes: (check and subject, values).
SWINGS = (
    ("nic.down ens1", (0, 1, 0)),
    ("disk.used_percent /scratch", (40, 80, 94.9, 96, 60)),
    ("gpu.thermal_slowdown 0000:b9:00", (0, 1, 1, 0)),
    ("gpu.temperature_margin 0000:b9:00", (20, 3, -1, 6)),
    ("gpu.ecc_corrected 0000:b9:00", (100, 105, 109)),
    ("gpu.pcie_lanes_missing 0000:b9:00", (8, 8, 0)),
    ("nic.carrier_changes ens1", (2, 4, 4)),
    ("processes.zombies processes", (2, 25, 3)),
)


def repeated() -> Iterator[Entry]:
    """The recorded rounds, then the same without the log of the boot, for eight hours."""
    yield from DRAWN_OUT
    first, *rest = DRAWN_OUT
    parts = {name for entry in rest for name in entry.readings} - set(first.readings)
    begun = replace(first, gone=tuple(parts))  # what was there at the end of the recording is not at its beginning
    again = cycle([replace(entry, lines=(), made=REPEATED) for entry in (begun, *rest)])
    for at in range(DRAWN_OUT[-1].at + ROUND_MS, HOURS_8_MS, ROUND_MS):
        yield replace(next(again), at=at)


def eight_hours(seed: int, lines: Iterable[tuple[int, str]] = LINES) -> Iterator[Entry]:
    """With harmless lines and swings: none in the recorded rounds, some in each half hour of the others."""
    chance, told = Random(seed), list(lines)
    swings: Iterator[dict[str, float]] = iter(())
    for entry in repeated():
        if not entry.made:
            yield entry
            continue
        swing = next(swings, None)
        if swing is None and chance.random() < 0.05:
            name, values = chance.choice(SWINGS)
            swings = iter([{name: float(value)} for value in values])
        said = [(facility, 6, text) for facility, text in told if chance.random() < 1 / 180]
        made = HARMLESS if said or swing else entry.made
        yield replace(entry, readings=entry.readings | (swing or {}), lines=tuple(said), made=made)


class Replay:
    """A node's eight hours: `findings` as its agent tells them, `known` as the server keeps them."""

    def __init__(self, place: Path, catalogue: Catalogue) -> None:
        self.findings: list[Finding] = []
        self.known: tuple[Known, ...] = ()
        self.sick: list[str] = []
        self.rounds = 0
        self._catalogue = catalogue
        self._now = Round(at_ms=NOW_MS, readings=(), lines=())
        watching = Watching(kmsg="", host=False, gpus=False)
        put_in = (lambda _: list(self._now.readings), Made)
        self._rounds = Rounds(place, watching, catalogue, "replayed", self._take, lambda: 0, put_in=put_in)

    def run(self, entries: Iterable[Entry]) -> "Replay":
        async def go() -> None:
            for one in rounds(entries, NOW_MS):
                self._now = one
                await self._rounds.round(slow=False)
                for finding in filter(None, (diagnose(line, self._catalogue) for line in one.lines)):
                    self._take(finding)
                self._judge(one.at_ms)
                self.rounds += 1

        asyncio.run(go())
        return self

    def _take(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.known = assess(self.known, finding, self._catalogue)

    def _judge(self, at_ms: int) -> None:
        self.known = lapse(self.known, at_ms)
        verdict = weigh(self.known, (), POLICY, at_ms)
        if verdict.worst:
            self.sick.append(verdict.worst.name)

    @property
    def errors(self) -> list[str]:
        least = SEVERITIES.index(Severity.ERROR)
        judged = ((one, judge(one, self._catalogue).severity) for one in self.findings if not one.over)
        return [one.name for one, severity in judged if SEVERITIES.index(severity) >= least]


def test_eight_hours_are_recorded_and_nothing_in_them_is_made() -> None:
    assert sum(entries[-1].at for entries in RECORDINGS.values()) >= HOURS_8_MS
    assert not any(entry.made for entries in RECORDINGS.values() for entry in entries)
    assert sum(len(entry.lines) for entries in RECORDINGS.values() for entry in entries) > 800


def test_what_is_drawn_out_says_that_it_is_made() -> None:
    drawn = list(eight_hours(0))
    recorded = list(takewhile(lambda entry: not entry.made, drawn))
    assert recorded == DRAWN_OUT
    assert drawn[-1].at >= HOURS_8_MS - ROUND_MS
    assert all(entry.made in (REPEATED, HARMLESS) for entry in drawn[len(recorded) :])


@pytest.mark.parametrize("profile", ["nvidia", "hyperpod", "strict"])
@pytest.mark.parametrize("recording", sorted(RECORDINGS))
def test_what_was_recorded_has_not_one_finding_under_any_profile(
    tmp_path: Path, recording: str, profile: Profile
) -> None:
    replay = Replay(tmp_path, BY_PROFILE[profile]).run(RECORDINGS[recording])
    assert [(one.name, one.text) for one in replay.findings] == []


@pytest.mark.parametrize("seed", range(3))
def test_eight_hours_of_a_healthy_node_have_no_finding_of_severity_error(tmp_path: Path, seed: int) -> None:
    replay = Replay(tmp_path, BY_PROFILE["nvidia"]).run(eight_hours(seed))
    assert replay.rounds >= 2_800
    assert replay.findings, "warnings and applications' errors are told"
    assert replay.errors == []
    assert replay.sick == []


def test_hiccups_that_count_only_when_they_come_again_leave_the_node_healthy(tmp_path: Path) -> None:
    """Each once in an hour and a half; the silent server answers within ten seconds."""

    def hiccups() -> Iterator[Entry]:
        due = dict(zip(accumulate([540] * 4), HICCUPS[:4], strict=False))
        for number, entry in enumerate(repeated()):
            text = due.get(number) or (HICCUPS[4] if number == 540 * 4 + 1 else "")
            yield replace(entry, lines=((0, 3, text),)) if text else entry

    replay = Replay(tmp_path, BY_PROFILE["nvidia"]).run(hiccups())
    assert {"soft-lockup", "hung-task", "nvme-timeout", "nfs-silent"} == {one.name for one in replay.findings}
    assert replay.sick == []


@pytest.mark.parametrize(
    "put",
    [
        lambda entry: replace(entry, lines=((0, 3, "NVRM: Xid (PCI:0000:b9:00): 79, pid=1, GPU has fallen off"),)),
        lambda entry: replace(entry, readings=entry.readings | {"gpu.lost 0000:b9:00": 1.0}),
    ],
)
def test_the_same_replay_finds_a_fault_that_is_one(tmp_path: Path, put: Callable[[Entry], Entry]) -> None:
    entries = list(islice(repeated(), 60))
    replay = Replay(tmp_path, BY_PROFILE["nvidia"]).run([*entries[:30], put(entries[30]), *entries[31:]])
    assert replay.errors
    assert replay.sick
