"""Sources and findings on a node: what is written is found at once, believed from the kernel only, and told once."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.harness import WAIT_S
from tocsin.agent import watch as watch_file
from tocsin.agent.sources import FollowedFile, Journal, parse
from tocsin.agent.sources.journal import read_record
from tocsin.agent.spool import Spool
from tocsin.agent.watch import Watch
from tocsin.model.health import BOOT, Finding, Line
from tocsin.model.link import Found, Report
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import LogFile, Watching

XID = "NVRM: Xid (PCI:0000:b9:00): {code}, pid=1, name=python3, GPU has fallen off the bus."


class Watched:
    """A node whose agent watches, and what it reported. `write` writes into its kernel log."""

    def __init__(self, directory: Path, **watching: object) -> None:
        self.directory = directory
        settings = Watching(kmsg="kmsg", host=False, gpus=False, **watching)  # type: ignore[arg-type]
        (directory / WATCH_FILE).write_bytes(msgspec.json.encode(settings))
        self.spool = Spool(directory / "spool")
        self.reports: list[Found] = []
        self.sequence = 0
        self._news = asyncio.Event()
        self._running = asyncio.create_task(Watch(directory, self.spool.session.places, self._file).run())

    def _file(self, report: Report) -> None:
        assert isinstance(report, Found)
        self.spool.file(report)
        self.reports.append(report)
        self._news.set()

    @property
    def findings(self) -> list[Finding]:
        return [report.finding for report in self.reports if report.finding.fault != BOOT]

    def write(self, text: str, priority: int = 3) -> None:
        self.sequence += 1
        with (self.directory / "kmsg").open("a") as log:
            log.write(f"{priority},{self.sequence},1,-;{text}\n")

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        self.spool.close()


def together(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await story()

    asyncio.run(main())


def test_a_record_of_the_kernel_is_found_when_it_is_written(tmp_path: Path) -> None:
    async def story() -> None:
        node = Watched(tmp_path, start_is_boot=True)
        await node.until(lambda: bool(node.reports))
        assert node.reports[0].finding.fault == BOOT
        node.write("nvidia: loading out-of-tree module taints kernel.")
        node.write(XID.format(code=79))
        await node.until(lambda: bool(node.findings))
        assert [(one.name, one.subject) for one in node.findings] == [("xid-79", "0000:b9:00")]
        await node.stop()

    together(story)


def test_what_another_than_the_kernel_wrote_is_not_believed(tmp_path: Path) -> None:
    """Priority 11 is 3 of facility 1: whatever a process writes to /dev/kmsg."""

    async def story() -> None:
        node = Watched(tmp_path, start_is_boot=True)
        await node.until(lambda: bool(node.reports))
        node.write(XID.format(code=79), priority=11)
        node.write(XID.format(code=64))
        await node.until(lambda: bool(node.findings))
        assert [one.code for one in node.findings] == [64]
        await node.stop()

    together(story)


def test_an_agent_that_comes_back_reads_on_where_it_reported_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_file, "kernel_boot_id", lambda: "boot-1")

    async def story() -> None:
        first = Watched(tmp_path)
        await first.until(lambda: bool(first.reports))
        first.write(XID.format(code=79))
        await first.until(lambda: len(first.findings) == 1)
        await first.stop()
        first.write("nothing in between")
        first.write(XID.format(code=64))
        second = Watched(tmp_path)
        await second.until(lambda: bool(second.reports))
        assert [one.name for one in second.findings] == ["xid-64"]
        assert second.spool.session.filed == 3  # boot, 79, 64: none of them twice
        await second.stop()

    together(story)


def test_a_new_boot_is_told_and_its_log_is_read_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boots = iter(("boot-1", "boot-2"))
    monkeypatch.setattr(watch_file, "kernel_boot_id", lambda: next(boots))

    async def story() -> None:
        first = Watched(tmp_path)
        await first.until(lambda: bool(first.reports))
        first.write(XID.format(code=79))
        await first.until(lambda: len(first.findings) == 1)
        await first.stop()
        (tmp_path / "kmsg").write_text(f"3,0,1,-;{XID.format(code=48)}\n")
        second = Watched(tmp_path)
        await second.until(lambda: bool(second.findings))
        assert [one.finding.name for one in second.reports] == [BOOT, "xid-48"]
        await second.stop()

    together(story)


def test_a_storm_of_one_fault_is_told_at_once_and_then_with_its_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_file, "REPEAT_S", 0.1)

    async def story() -> None:
        node = Watched(tmp_path, start_is_boot=True)
        await node.until(lambda: bool(node.reports))
        for _ in range(50):
            node.write(XID.format(code=31))
        node.write(XID.format(code=94))
        await node.until(lambda: sum(one.count for one in node.findings) == 51)
        assert len(node.findings) == 3
        assert node.findings[0].count == 1
        await node.stop()

    together(story)


def test_a_trusted_file_is_followed_across_its_rotation_and_another_is_not_believed(tmp_path: Path) -> None:
    async def story() -> None:
        files = (LogFile(path="messages", trusted=True), LogFile(path="other"))
        (tmp_path / "messages").write_text("old: " + XID.format(code=48) + "\n")
        node = Watched(tmp_path, start_is_boot=True, files=files)
        await node.until(lambda: bool(node.reports))
        with (tmp_path / "other").open("a") as log:
            log.write(f"host kernel: {XID.format(code=95)}\n")
        with (tmp_path / "messages").open("a") as log:
            log.write(f"host kernel: {XID.format(code=79)}\n")
        await node.until(lambda: len(node.findings) == 1)
        (tmp_path / "messages").rename(tmp_path / "messages.1")
        (tmp_path / "messages").write_text(f"host kernel: {XID.format(code=64)}\n")
        await node.until(lambda: len(node.findings) == 2)
        assert [one.code for one in node.findings] == [79, 64]
        assert node.findings[0].source == "file:messages"
        await node.stop()

    together(story)


def test_the_journal_is_believed_where_the_kernel_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journalctl that says what it is told, and notes what it was asked."""
    records = [
        {"MESSAGE": XID.format(code=95), "SYSLOG_FACILITY": "1", "_TRANSPORT": "kernel"},
        {"MESSAGE": XID.format(code=79), "SYSLOG_FACILITY": "0", "PRIORITY": "3", "_TRANSPORT": "kernel"},
    ]
    fields = {"__REALTIME_TIMESTAMP": "1700000000000000", "__CURSOR": "s=1"}
    text = "\n".join(msgspec.json.encode(record | fields).decode() for record in records)
    command = tmp_path / "journalctl"
    command.write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path}/asked'\ncat <<'E'\n{text}\nE\nexec sleep 60\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def story() -> None:
        node = Watched(tmp_path, start_is_boot=True, journal=True)
        await node.until(lambda: bool(node.findings))
        [found] = node.findings
        assert (found.name, found.source, found.at_ms) == ("xid-79", "journal", 1_700_000_000_000)
        assert node.spool.session.places["journal"] == "s=1"
        await node.stop()
        again = Watched(tmp_path, start_is_boot=True, journal=True)
        await again.until(lambda: bool(again.findings))
        assert "--after-cursor=s=1" in (tmp_path / "asked").read_text()
        await again.stop()

    together(story)


def test_without_a_journal_the_node_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PATH", "")
    asyncio.run(Journal("", lambda line: None).run())
    assert "the journal is not followed" in caplog.text


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"not json", None),
        (b'{"MESSAGE":"x"}', None),
        (b'{"MESSAGE":[1,2],"__REALTIME_TIMESTAMP":"5000"}', ""),
        (b'{"MESSAGE":"x","__REALTIME_TIMESTAMP":"5000"}', "x"),
    ],
)
def test_records_of_the_journal_are_read_or_passed_over(raw: bytes, read: str | None) -> None:
    line = read_record(raw)
    assert (line.text if line else None) == read


@pytest.mark.parametrize(
    ("record", "read"),
    [
        ("6,339,5140900,-;NET: Registered PF_INET", (0, 6, "NET: Registered PF_INET")),
        ("11,340,5140900,-,caller=T1;text; with ; more\n SUBSYSTEM=pci", (1, 3, "text; with ; more")),
        ("30,1,2,c;", (3, 6, "")),
        ("no record", None),
        ("a,b,c,d;x", None),
        ("", None),
    ],
)
def test_records_of_the_kernel_are_read_or_passed_over(record: str, read: tuple[int, int, str] | None) -> None:
    line = parse(record, "boot", 7)
    assert (line and (line.facility, line.level, line.text)) == read


def test_a_line_is_handed_on_when_it_is_whole(tmp_path: Path) -> None:

    async def story() -> None:
        lines: asyncio.Queue[str] = asyncio.Queue()
        followed = FollowedFile(tmp_path / "log", lines.put_nowait)
        followed.open()
        with (tmp_path / "log").open("a") as log:
            log.write("one\ntw")
            log.flush()
            assert await lines.get() == "one"
            assert lines.empty()
            log.write("o\n")
        assert await lines.get() == "two"
        (tmp_path / "log").write_text("3\n")
        assert await lines.get() == "3"
        followed.close()

    together(story)


def test_a_damaged_file_of_what_is_watched_is_said_and_the_host_is_watched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / WATCH_FILE).write_text('{"kmsgg": 1}')
    assert watch_file.read_watching(tmp_path) == Watching()
    assert "the whole host is watched" in caplog.text


def test_a_line_says_where_it_stands() -> None:
    line = parse("3,41,5,-;x", "boot-1", 7)
    assert line == Line(source="kmsg", text="x", at_ms=7, facility=0, level=3, place="boot-1:41")


def test_a_crash_of_an_earlier_boot_is_told_once_for_all_starts(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "pstore").mkdir()
        (tmp_path / "pstore" / "dmesg-efi-1").write_text("Panic#1 Part1\n<0>[ 1.0] Kernel panic - not syncing: x\n")
        first = Watched(tmp_path, crashes=("pstore",))
        await first.until(lambda: bool(first.findings))
        assert [one.name for one in first.findings] == ["kernel-crash"]
        await first.stop()
        second = Watched(tmp_path, crashes=("pstore",))
        second.write(XID.format(code=79))
        await second.until(lambda: bool(second.findings))
        assert [one.name for one in second.findings] == ["xid-79"]
        await second.stop()

    together(story)
