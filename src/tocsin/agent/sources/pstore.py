"""What the kernel wrote down as it crashed, on an earlier boot: records in /sys/fs/pstore, or where systemd moves them.

Read once, at the agent's start. A record becomes a line of the kernel's, which the table of faults knows by its head.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from tocsin.model.health import Line

log = logging.getLogger(__name__)

SOURCE = "pstore"
RECORDS_MAX = 64  # looked at in each folder, newest first: a crash is cut into some ten
RECORD_BYTES_MAX = 64 << 10
_HEAD = re.compile(r"(?P<kind>Panic|Oops|Emergency)#\d+ Part\d+")
_REASON = re.compile(r"(?:<\d+>)?(?:\[[^\]]*\] ?)?(?P<words>(?:Kernel panic|BUG:|Oops:|general protection).*)")


def crashes(folders: Iterable[Path], after: str) -> list[Line]:
    """A line for each crash that was written down later than `after` (epoch ms), oldest first."""
    known = int(after) if after.isdecimal() else 0
    parts: dict[tuple[int, str], list[str]] = {}
    for folder in folders:
        for at_ms, text in _records(folder):
            head = _HEAD.match(text)
            if head and at_ms > known:
                parts.setdefault((at_ms // 1000, head["kind"]), []).append(text)
    return [_line(kind, at_s * 1000 + 999, "\n".join(texts)) for (at_s, kind), texts in sorted(parts.items())]


def _line(kind: str, at_ms: int, text: str) -> Line:
    reasons = [found["words"] for found in map(_REASON.match, text.splitlines()) if found]
    words = f"crash record: {kind}: {reasons[0] if reasons else 'its reason is not in the record'}"
    return Line(source=SOURCE, text=words, at_ms=at_ms, facility=0, level=0, place=str(at_ms))


def _records(folder: Path) -> Iterable[tuple[int, str]]:
    """(when it was written, its text); the parts of one crash have one time."""
    try:
        files = [one for one in folder.rglob("dmesg-*") if one.is_file()]
        dated = sorted(((one.stat().st_mtime_ns // 1_000_000, one) for one in files), reverse=True)
    except OSError as error:
        log.warning("the records of crashes in %s are not read: %s", folder, error)
        return
    for at_ms, file in dated[:RECORDS_MAX]:
        try:
            with file.open("rb") as record:
                yield at_ms, record.read(RECORD_BYTES_MAX).decode(errors="replace")
        except OSError:
            continue
