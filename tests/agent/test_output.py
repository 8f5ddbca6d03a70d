"""Output on its way into reports: lines whole, bounds kept."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import WAIT_S
from tocsin.agent import output
from tocsin.agent.output import LINE_BYTES_MAX, Splitter, Transcript
from tocsin.model.link import FRAME_BYTES_MAX, Report, ScriptOutput


@given(st.lists(st.binary(max_size=40)))
def test_lines_do_not_depend_on_where_the_reads_fell(chunks: list[bytes]) -> None:
    whole, pieces = Splitter(), Splitter()
    assert [line for chunk in chunks for line in pieces.feed(chunk)] + pieces.finish() == (
        whole.feed(b"".join(chunks)) + whole.finish()
    )


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert Splitter().feed(b"a\xff\0b\r\n") == ["a��b"]


@pytest.mark.parametrize("shift", range(4))
def test_a_long_line_is_split_between_characters(shift: int) -> None:
    text = "a" * shift + "𝄞" * LINE_BYTES_MAX
    lines = (splitter := Splitter()).feed(text.encode()) + splitter.finish()
    assert "".join(lines) == text
    assert all(len(line.encode()) <= LINE_BYTES_MAX for line in lines)


def transcribed(data: bytes, bytes_max: int = 1 << 20) -> list[Report]:
    async def main() -> list[Report]:
        reports: list[Report] = []
        transcript = Transcript("w", bytes_max, reports.append, lambda: 5)
        transcript.feed(data)
        transcript.finish()
        transcript.flush()
        return reports

    return asyncio.run(main())


def test_output_beyond_the_limit_is_counted_and_said() -> None:
    (report,) = transcribed(b"12345\n67890\n", bytes_max=8)
    assert isinstance(report, ScriptOutput)
    assert report.lines == ((5, "12345"), (5, "67"), (5, "[Tocsin] 4 bytes of output were left out: the limit is 8"))


@pytest.mark.parametrize(
    "data", [b"\n" * 300_000, b"\x01" * 300_000, b"\xff" * 300_000], ids=["blank", "control", "bad"]
)
def test_no_batch_is_larger_than_a_frame(data: bytes) -> None:
    import msgspec

    assert max(len(msgspec.json.encode(report)) for report in transcribed(data)) < FRAME_BYTES_MAX


def test_a_batch_goes_out_by_itself_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "BATCH_S", 0.01)

    async def main() -> None:
        reports: asyncio.Queue[Report] = asyncio.Queue()
        transcript = Transcript("w", 100, reports.put_nowait, lambda: 5)
        transcript.feed(b"first\n")
        transcript.feed(b"second\n")
        report = await asyncio.wait_for(reports.get(), WAIT_S)
        assert isinstance(report, ScriptOutput)
        assert [text for _, text in report.lines] == ["first", "second"]

    asyncio.run(main())
