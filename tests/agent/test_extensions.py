"""The health of extensions on a node: scripts that really run, told when their end is another than the last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from tests.agent.agent_world import INSTANCE_ID
from tests.harness import WAIT_S
from tocsin.agent.extensions import TIMED_OUT, Extensions
from tocsin.agent.settings import AgentSettings
from tocsin.model.link import ExtensionChecked, Report, UnwatchExtension, WatchExtension


class Node:
    """An agent's part that asks extensions how they are, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.told: asyncio.Queue[ExtensionChecked] = asyncio.Queue()
        settings = AgentSettings(instance_id=INSTANCE_ID, server="http://127.0.0.1:9", directory=directory, token="t")
        self.extensions = Extensions(settings, self._file)

    def _file(self, report: Report) -> None:
        assert isinstance(report, ExtensionChecked)
        self.told.put_nowait(report)

    async def ends(self) -> tuple[str, int, str]:
        """What is told next."""
        one = await self.told.get()
        return one.work, one.exit_code, one.text.strip()


@asynccontextmanager
async def node_in(directory: Path) -> AsyncIterator[Node]:
    node = Node(directory)
    working = asyncio.create_task(node.extensions.run())
    try:
        async with asyncio.timeout(WAIT_S):
            yield node
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def order(folder: Path, script: str, **more: object) -> WatchExtension:
    """Each run of the script adds a line to `runs`."""
    text = f"#!/bin/sh\necho run >> {folder}/runs\n{script}\n"
    made = WatchExtension(work="w/1", extension="x", script=text, every_s=0.05, time_limit_s=WAIT_S)
    return replace(made, **more)


def put(path: Path, text: str) -> None:
    """At once: a script that reads it finds the one or the other."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


async def ran(folder: Path, times: int) -> None:
    runs = folder / "runs"
    goal = (runs.read_text().count("run") if runs.exists() else 0) + times
    for _ in range(round(WAIT_S * 100)):
        if runs.exists() and runs.read_text().count("run") >= goal:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the script did not run {times} times")


def test_only_another_end_than_the_last_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            put(tmp_path / "code", "0")
            node.extensions.watch(order(tmp_path, f"echo because >&2\nexit $(cat {tmp_path}/code)"))
            await ran(tmp_path, 3)
            assert node.told.empty(), "it is well, as the server knows"
            for code in (69, 77, 0):
                put(tmp_path / "code", str(code))
                assert await node.ends() == ("w/1", code, "because")
                await ran(tmp_path, 2)
                assert node.told.empty()

    asyncio.run(main())


def test_an_agent_that_starts_anew_tells_only_what_the_server_does_not_know(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.extensions.watch(order(tmp_path, f"[ -e {tmp_path}/well ]", well=False))
            await ran(tmp_path, 2)
            assert node.told.empty(), "it is not well, as the server knows"
            (tmp_path / "well").touch()
            assert await node.ends() == ("w/1", 0, "")

    asyncio.run(main())


def test_a_script_finds_what_it_is_given_and_one_that_hangs_is_not_well(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            given = {"EXTENSION_NAME": "exporter"}
            hangs = order(tmp_path, f"echo $EXTENSION_NAME > {tmp_path}/name\nsleep 600", environment=given)
            node.extensions.watch(replace(hangs, time_limit_s=0.2))
            work, code, text = await node.ends()
            assert (work, code, text) == ("w/1", TIMED_OUT, "The health script did not end within 0.2 s.")
            assert (tmp_path / "name").read_text() == "exporter\n"

    asyncio.run(main())


def test_another_work_takes_the_place_of_the_one_before_and_none_is_asked_for_in_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            first = order(tmp_path, f"echo one >> {tmp_path}/who")
            node.extensions.watch(first)
            await ran(tmp_path, 1)
            node.extensions.watch(first)  # said again on another link: it goes on
            node.extensions.watch(order(tmp_path, "exit 1", work="w/2"))
            assert await node.ends() == ("w/2", 1, "")
            (tmp_path / "who").write_text("")
            await ran(tmp_path, 2)
            assert (tmp_path / "who").read_text() == "", "the first is not asked any more"
            node.extensions.unwatch(UnwatchExtension(work="x", extension="x"))
            node.extensions.watch(order(tmp_path, "exit 2", work="w/3", extension="y"))
            assert await node.ends() == ("w/3", 2, "")

    asyncio.run(main())
