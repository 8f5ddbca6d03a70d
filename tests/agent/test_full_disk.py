"""An agent on a node whose disk is full: it starts, tells what it finds, and keeps what there is room for."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.agent.agent_world import INSTANCE_ID, FakeServer
from tests.agent.test_spool import ENDED, STARTED, contents, output
from tests.harness import WAIT_S
from tocsin.agent.spool import Spool
from tocsin.model.injection import Injectable
from tocsin.model.link import Found, Inject, Placed
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import Watching

READING: Injectable = "reading"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for next to nothing."""
    place = tmp_path / "tiny"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(place)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave no room."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


def test_an_agent_that_starts_on_a_full_disk_goes_on_with_its_old_file(tiny: Path) -> None:
    path = tiny / "spool"
    spool = Spool(path)
    spool.file(STARTED)
    filler = fill(tiny)
    for _ in range(8):  # the last page of the file may still take some
        spool.file(output("x" * 1000))
    assert not spool.safe
    kept = [report.n for report in contents(path).outbox]
    spool.close()

    started = Spool(path)
    assert [report.n for report in started.session.outbox] == kept
    started.file(output("y" * 5000))
    assert (started.safe, len(started.session.outbox)) == (False, len(kept) + 1)
    filler.unlink()
    started.file(ENDED)
    assert started.safe
    started.close()
    assert contents(path).outbox[-1] == replace(ENDED, n=kept[-1] + 2)


def test_a_spool_is_begun_on_a_full_disk(tiny: Path) -> None:
    fill(tiny)
    spool = Spool(tiny / "spool")
    spool.file(STARTED)
    assert (spool.safe, [report.n for report in spool.session.outbox]) == (False, [1])
    spool.close()


def test_an_agent_that_starts_on_a_full_disk_tells_what_it_finds(tiny: Path) -> None:
    node = tiny / "node"
    node.mkdir()
    (node / "token").write_text("secret\n")
    watching = Watching(kmsg="kmsg", crashes=(), host=False, gpus=False, inject=True)
    (node / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
    (node / "kmsg").write_text("3,1,0,-;NVRM: Xid (PCI:0000:b9:00): 79, GPU has fallen off the bus.\n")
    fill(tiny)

    async def main() -> None:
        async with FakeServer() as server:
            server.orders = [Inject(work="one", what=READING, argument="disk.used_percent=99", part="/", for_s=60)]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tocsin.agent.main", "--instance-id", INSTANCE_ID),
                *("--server", f"http://127.0.0.1:{server.port}", "--dir", str(node)),
            )
            try:
                async with asyncio.timeout(WAIT_S):
                    await server.until(lambda: {Found, Placed} <= {type(one) for one in server.applied})
            finally:
                process.terminate()
                await process.wait()
            assert [one.finding.name for one in server.applied if isinstance(one, Found)] == ["boot", "xid-79"]
            [placed] = [one for one in server.applied if isinstance(one, Placed)]
            assert (placed.outcome, placed.detail) == ("refused", "the node's disk takes no record of it")

    asyncio.run(main())
