"""The kernel's log as a device. What stands in it is test_watch's subject, which reads it from a file."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.agent.sources.kmsg import KernelLog
from tocsin.model.health import Line


def test_records_that_were_overwritten_are_told_of_and_reading_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the kernel answers a reader who comes too late: EPIPE once, then the oldest record it still has."""
    answers: Iterator[bytes | OSError] = iter(
        [OSError(errno.EPIPE, "overwritten"), b"3,7,0,-;NVRM: Xid", BlockingIOError()]
    )

    def read(_fd: int, _most: int) -> bytes:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(os, "read", read)
    found: list[Line] = []
    KernelLog(Path("/dev/kmsg"), "boot-1", "", found.append)._ready()
    assert [line.text for line in found] == ["NVRM: Xid"]
    assert caplog.messages == [
        "/dev/kmsg: records were overwritten before they were read; faults in them went by",
    ]
