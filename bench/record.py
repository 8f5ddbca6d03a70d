"""Record what a node reads: `python -m bench.record FILE --minutes 60`. `gzip -9 FILE`, for tests/faults/healthy.

The agent's own checks and its reader of the kernel's log, at their usual pace: ten seconds a round. Names of mounts are
not kept; look through the log's lines before you show them to others.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from tests.faults.recording import difference, written

from tocsin.agent.checks import Rounds
from tocsin.agent.checks.rounds import SLOW_ROUNDS
from tocsin.agent.sources import KernelLog
from tocsin.core import faults
from tocsin.core.faults import read_catalogue
from tocsin.model.health import Finding, Line, Reading
from tocsin.model.watching import KERNEL_LOG, Watching


class Recorder:
    def __init__(self, folder: Path, out: BinaryIO) -> None:
        self._out = out
        self._now: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._lines: list[Line] = []
        catalogue = read_catalogue((Path(faults.__file__).parent / "catalogue.toml").read_bytes())
        watching = Watching(daemons=())
        self._rounds = Rounds(folder, watching, catalogue, "recorded", self._found, lambda: 0, seen=self._seen)
        self._pace_s = watching.interval_s

    async def run(self, seconds: float) -> None:
        kernel = KernelLog(Path(KERNEL_LOG), "recorded", "", self._lines.append)
        kernel.open()
        began, number = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            slow = number % SLOW_ROUNDS == 0
            await self._rounds.round(slow=slow)
            if not slow:  # what is read more rarely stands meanwhile
                self._now = {name: v for name, v in self._before.items() if name.startswith("processes.")} | self._now
            at = round((time.monotonic() - began) * 1000)
            self._out.write(written(difference(at, self._before, self._now, self._lines)))
            self._out.flush()
            self._before, self._now = self._now, {}
            self._lines.clear()
            number += 1
            await asyncio.sleep(self._pace_s)
        kernel.close()

    def _seen(self, reading: Reading) -> None:
        self._now[f"{reading.check} {self._called(reading.subject)}"] = float(f"{reading.value:.6g}")

    def _called(self, subject: str) -> str:
        """A mount by its number: its path is its owner's business."""
        if not subject.startswith("/") or subject == "/":
            return subject
        return self._names.setdefault(subject, f"/mount-{len(self._names) + 1}")

    def _found(self, finding: Finding) -> None:
        print(f"found while recording: {finding.name} of {finding.subject}: {finding.text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, asked.file.open("wb") as out:
        asyncio.run(Recorder(Path(folder), out).run(asked.minutes * 60))


if __name__ == "__main__":
    main()
