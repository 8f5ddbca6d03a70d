"""The spool: what was filed is there after any end of the process, within bounds."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.agent import spool as spool_file
from tocsin.agent.spool import Spool
from tocsin.core.link import Session, acknowledge
from tocsin.model.link import ScriptEnded, ScriptOutput, ScriptStarted


def output(text: str) -> ScriptOutput:
    return ScriptOutput(n=0, work="w", lines=((7, text),))


STARTED = ScriptStarted(n=0, work="w", at_ms=1)
ENDED = ScriptEnded(n=0, work="w", at_ms=2, outcome="succeeded", exit_code=0)


def contents(path: Path) -> Session:
    """What the next process finds."""
    spool = Spool(path)
    spool.close()
    return spool.session


def test_what_was_filed_is_there_without_any_farewell(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for report in (STARTED, output("a"), ENDED):
        assert spool.file(report)
    assert contents(tmp_path / "spool") == spool.session
    spool.close()


def test_what_was_acknowledged_is_gone_and_numbers_go_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.file(STARTED)
    spool.file(output("a"))
    spool.settle(acknowledge(spool.session, 2))
    spool.close()
    again = Spool(tmp_path / "spool")
    assert not again.session.outbox
    again.file(ENDED)
    assert again.session.outbox[0].n == 3
    again.close()


@given(st.data())
@settings(max_examples=40, deadline=None)  # every example syncs a disk
def test_a_torn_last_line_is_nothing_and_all_before_it_is_kept(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool"
    spool = Spool(path)
    ends = []
    for number in range(4):
        spool.file(output(f"zeile {number} ä"))
        ends.append(path.stat().st_size)
    spool.close()
    cut = data.draw(st.integers(ends[0], ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    kept = sum(end <= cut for end in ends)
    assert [report.n for report in contents(path).outbox] == list(range(1, kept + 1))
    assert len(contents(path).outbox) == kept  # the torn line was cleared away


def test_an_unreadable_line_leaves_an_empty_report_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool"
    spool = Spool(path)
    for text in "abc":
        spool.file(output(text))
    spool.close()
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"\xff"'))
    assert [report.lines for report in contents(path).outbox if isinstance(report, ScriptOutput)] == [
        ((7, "a"),),
        (),
        ((7, "c"),),
    ]
    assert "cannot be read" in caplog.text


def test_a_file_of_zeroes_is_an_empty_spool(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(bytes(4096))
    assert contents(tmp_path / "spool") == Session()


def test_when_full_output_is_dropped_and_counted_and_starts_and_ends_are_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", bytes_max=2000)
    spool.file(STARTED)
    assert spool.file(output("x" * 1000))
    assert not spool.file(output("y" * 1000))
    assert not spool.file(output("z" * 1000))
    assert spool.file(ENDED)
    said = spool.session.outbox[-2]
    assert isinstance(said, ScriptOutput)
    assert "2 lines of output were dropped" in said.lines[0][1]
    assert [type(report) for report in spool.session.outbox] == [ScriptStarted, ScriptOutput, ScriptOutput, ScriptEnded]
    spool.close()


def test_the_loss_is_told_where_it_happened_when_there_is_room_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", bytes_max=1200)
    spool.file(output("x" * 1000))
    spool.file(output("y" * 1000))
    spool.settle(acknowledge(spool.session, 1))
    spool.file(output("after"))
    lines = [report.lines[0][1] for report in spool.session.outbox if isinstance(report, ScriptOutput)]
    assert ["1 lines of output were dropped" in line for line in lines] == [True, False]
    spool.close()


def test_the_count_of_reports_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "SPOOL_REPORTS_MAX", 3)
    spool = Spool(tmp_path / "spool")
    assert [spool.file(output("x")) for _ in range(5)] == [True, True, True, False, False]
    spool.close()


def test_the_file_does_not_grow_with_the_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "PAST_BYTES_MAX", 10_000)
    path = tmp_path / "spool"
    spool = Spool(path)
    for number in range(200):
        spool.file(output("x" * 500))
        spool.settle(acknowledge(spool.session, max(0, number - 2)))
    assert path.stat().st_size < 20_000
    assert contents(path).outbox == spool.session.outbox
    spool.close()


def test_a_full_disk_keeps_the_report_in_memory_and_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool"
    spool = Spool(path)
    spool.file(STARTED)
    before = path.read_bytes()
    real = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, data: real(handle, data[:5]))
        spool.file(output("a"))
    assert path.read_bytes() == before
    assert "kept in memory only" in caplog.text
    spool.file(ENDED)
    assert [report.n for report in spool.session.outbox] == [1, 2, 3]
    assert [report.n for report in contents(path).outbox] == [1, 2, 3]  # the second one empty
    spool.close()
