"""Lifecycle scripts: fetched, run, bounded, reported; and what of their processes lives on."""

import asyncio
import gzip
import io
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.agent.agent_world import FakeServer, order, texts
from tests.core.world import large_cluster
from tests.harness import WAIT_S
from tests.processes import gone, wait_gone
from tocsin.agent import bundle, config, download, process
from tocsin.agent.scripts import DOWNLOADING, FAILED, SUCCEEDED, perform
from tocsin.core.resource_config import resource_config
from tocsin.model.link import FRAME_BYTES_MAX, Report, RunScript, ScriptEnded, ScriptStarted

BASH = b"#!/bin/bash\n"


def performed(
    directory: Path,
    files: dict[str, bytes],
    wanted: RunScript | None = None,
    statuses: tuple[int, ...] = (),
    archive: bytes | None = None,
) -> tuple[ScriptEnded, list[Report], FakeServer]:
    """Run one work to its end against a server with these files (or this archive) as the bundle."""

    async def main() -> tuple[ScriptEnded, list[Report], FakeServer]:
        reports: list[Report] = []
        async with asyncio.timeout(WAIT_S), FakeServer(files) as server:
            server.statuses = list(statuses)
            server.bundle = server.bundle if archive is None else archive
            ended = await perform(server.settings(directory), wanted or order(), reports.append)
            return ended, reports, server

    return asyncio.run(main())


def test_a_script_that_succeeds_is_told_from_start_to_end(tmp_path: Path) -> None:
    ended, reports, server = performed(tmp_path, {"on_create.sh": BASH + b"echo one\necho two >&2\n"})
    assert (ended.outcome, ended.exit_code) == ("succeeded", 0)
    assert isinstance(reports[0], ScriptStarted)
    assert reports[-1] == ended
    assert texts(reports) == [DOWNLOADING, "one", "two", SUCCEEDED]
    assert server.asked[0]["authorization"] == "Bearer secret"
    assert server.asked[0]["x-tocsin-instance"] == "i-0123456789abcdef0"


def test_a_script_finds_its_place_on_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    script = b'pwd; echo $HOME; cat "$SAGEMAKER_RESOURCE_CONFIG_PATH"; echo; echo $GREETING; cat; cat lib/data; env\n'
    files = {"on_create.sh": script, "lib/data": b"from the bundle\n"}
    _, reports, _ = performed(tmp_path, files, order(environment={"GREETING": "hello"}))
    said = texts(reports)
    assert said[1:6] == [
        str(tmp_path / "bundle/bucket/lifecycle/v1"),
        str(tmp_path / "home"),
        '{"ClusterConfig":{}}',
        "hello",
        "from the bundle",
    ]
    assert f"TOCSIN_NODE_DIR={tmp_path}" in said
    assert not [line for line in said if "hush" in line]


def test_a_failure_names_the_exit_code(tmp_path: Path) -> None:
    ended, reports, _ = performed(tmp_path, {"on_create.sh": BASH + b"exit 7\n"})
    assert (ended.outcome, ended.exit_code, ended.detail) == ("failed", 7, "on_create.sh exited with code 7")
    assert texts(reports)[-2:] == [FAILED, "[Tocsin] on_create.sh exited with code 7"]


def test_a_script_ended_by_a_signal_says_which(tmp_path: Path) -> None:
    ended, _, _ = performed(tmp_path, {"on_create.sh": BASH + b"kill -9 $$\n"})
    assert (ended.outcome, ended.exit_code) == ("failed", 137)
    assert "SIGKILL" in ended.detail


def test_the_time_limit_ends_the_whole_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TERM_GRACE_S", 0.2)
    script = (
        BASH + b"trap '' TERM\nbash -c 'trap \"\" TERM; echo $$; while :; do sleep 60; done' &\necho $$\nwait\nwait\n"
    )
    pids: list[int] = []
    for limit_s in (0.5, 2, 8, 32):  # until there is time enough for the tree to grow
        ended, reports, _ = performed(tmp_path, {"on_create.sh": script}, order(time_limit_s=limit_s))
        assert ended.outcome == "timed-out"
        assert f"within {limit_s:g} s" in ended.detail
        pids = [int(line) for line in texts(reports) if line.isdigit()]
        for pid in pids:
            wait_gone(pid)
        if len(pids) == 2:
            break
    assert len(pids) == 2


def test_a_daemon_that_a_script_leaves_lives_on(tmp_path: Path) -> None:
    """Even one that keeps the script's output: its end is not waited for."""
    ended, reports, _ = performed(tmp_path, {"on_create.sh": BASH + b"sleep 60 &\necho $!\n"})
    assert ended.outcome == "succeeded"
    pid = int(texts(reports)[1])
    assert not gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_daemon_that_goes_on_writing_is_not_harmed(tmp_path: Path) -> None:
    """The pipe is read on after the script's end; the daemon writes a mark once it has written a pipe's worth."""
    os.mkfifo(tmp_path / "mark")
    daemon = b'(sleep 0.5; head -c 200000 /dev/zero; echo "alive" > %s) &\n' % str(tmp_path / "mark").encode()

    async def main() -> str:
        async with asyncio.timeout(WAIT_S), FakeServer({"on_create.sh": BASH + daemon}) as server:
            ended = await perform(server.settings(tmp_path), order(), lambda report: None)
            assert ended.outcome == "succeeded"
            return await asyncio.to_thread((tmp_path / "mark").read_text)

    assert asyncio.run(main()) == "alive\n"


def test_output_is_bounded_and_the_script_is_not_held_up(tmp_path: Path) -> None:
    script = BASH + b"head -c 3000000 /dev/zero | tr '\\0' x\necho\necho end\n"
    ended, reports, _ = performed(tmp_path, {"on_create.sh": script}, order(output_bytes_max=50_000))
    assert ended.outcome == "succeeded"
    said = texts(reports)
    assert sum(map(len, said[1:-2])) == 50_000
    assert said[-2] == "[Tocsin] 2950005 bytes of output were left out: the limit is 50000"


def test_output_that_is_no_text_is_replaced(tmp_path: Path) -> None:
    _, reports, _ = performed(tmp_path, {"on_create.sh": BASH + b"printf 'a\\xff\\0b\\nno end of line'\n"})
    assert texts(reports)[1:3] == ["a��b", "no end of line"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"on_create.sh": b"#!/bin/bash\r\necho hi\r\n"}, "Windows line ends (CRLF)"),
        ({"on_create.sh": b"#!/opt/nothing/here\n"}, "interpreter '/opt/nothing/here', which is not on this node"),
        ({"on_create.sh": b"#!\n"}, "interpreter ''"),
        ({"other.sh": b"", "lib/x": b""}, "has no script 'on_create.sh'; it holds: lib/x, other.sh"),
        ({}, "it holds: nothing"),
        ({"on_create.sh": b"\x7fELF broken"}, "could not be started"),
    ],
    ids=["crlf", "no-interpreter", "empty-shebang", "no-script", "empty", "bad-binary"],
)
def test_what_cannot_run_says_why(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    ended, reports, _ = performed(tmp_path, files)
    assert (ended.outcome, ended.exit_code) == ("not-started", None)
    assert words in ended.detail
    assert texts(reports)[-2:] == [FAILED, f"[Tocsin] {ended.detail}"]


def test_a_shebang_is_obeyed_with_its_argument(tmp_path: Path) -> None:
    files = {"on_create.sh": b"#!/usr/bin/env -S cat -n\nthe script is its own output\n"}
    _, reports, _ = performed(tmp_path, files)
    assert "\tthe script is its own output" in texts(reports)[2]


def test_an_order_that_makes_no_sense_is_told_and_harms_nothing(tmp_path: Path) -> None:
    for changes in (
        {"on_create": "../../token"},
        {"on_create": "a\0b"},
        {"environment": {"A": "x\0y"}},
        {"source": "s3://b/../.."},
    ):
        ended, _, _ = performed(tmp_path, {"on_create.sh": b""}, order(**changes))
        assert ended.outcome == "not-started", changes


def test_a_missing_bundle_is_told_with_the_servers_words(tmp_path: Path) -> None:
    ended, _, _ = performed(tmp_path, {}, statuses=(404,))
    assert ended.outcome == "not-started"
    assert "no bundle s3://bucket/lifecycle/v1 (404 these are not the scripts you look for)" in ended.detail


def test_a_server_in_trouble_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FETCH_RETRY_S", 0.01)
    ended, _, server = performed(tmp_path, {"on_create.sh": b"true\n"}, statuses=(503, 500))
    assert ended.outcome == "succeeded"
    assert len(server.asked) == 3


def test_a_bundle_that_came_in_part_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FETCH_RETRY_S", 0.01)

    async def main() -> tuple[str, int]:
        async with FakeServer({"on_create.sh": b"true\n"}) as server:
            server.cuts = [7, 100_000]
            ended = await perform(server.settings(tmp_path), order(), lambda report: None)
            return ended.outcome, len(server.asked)

    assert asyncio.run(main()) == ("succeeded", 3)


def test_a_redirect_of_the_bundle_is_not_followed(tmp_path: Path) -> None:
    async def main() -> tuple[ScriptEnded, list[object]]:
        async with FakeServer({"on_create.sh": b"true\n"}) as stranger, FakeServer() as server:
            server.elsewhere = f"http://127.0.0.1:{stranger.port}/bundle"
            return await perform(server.settings(tmp_path), order(), lambda report: None), list(stranger.asked)

    ended, asked = asyncio.run(main())
    assert "has no bundle s3://bucket/lifecycle/v1 (307" in ended.detail
    assert asked == []


def test_a_server_that_stays_in_trouble_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FETCH_RETRY_S", 0.05)
    monkeypatch.setattr(download, "FETCH_LIMIT_S", 1.0)
    ended, _, _ = performed(tmp_path, {}, statuses=(503,) * 50)
    assert ended.outcome == "not-started"
    assert "within 1 s: the server answered 503" in ended.detail


def odd_tar(member: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()


def member(name: str, **changes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (odd_tar(member("../../escaped", size=3)), "cannot be unpacked"),
        (odd_tar(member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "no plain file"),
        (odd_tar(member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3)), "no plain file"),
        (odd_tar(member("big", size=30_000)), "unpacks to more than"),
        (b"<html>no tar</html>" * 2000, "larger than"),
        (b"<html>no tar</html>", "cannot be unpacked"),
    ],
    ids=["escape", "link", "device", "big", "big-download", "no-tar"],
)
def test_a_bundle_that_is_not_to_be_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes, words: str
) -> None:
    monkeypatch.setattr(bundle, "BUNDLE_BYTES_MAX", 20_000)
    if words == "unpacks to more than":
        archive = archive[:1024]  # a header that promises more than the download limit lets through
    (tmp_path / "node").mkdir()
    ended, _, _ = performed(tmp_path / "node", {}, archive=archive)
    assert ended.outcome == "not-started"
    assert words in ended.detail
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "node/bundle/escaped").exists()


def test_a_script_is_told_of_more_nodes_than_a_frame_of_the_link_holds(tmp_path: Path) -> None:
    cluster, members = large_cluster(10_000)
    told = resource_config(cluster, members.values())
    assert len(told) > FRAME_BYTES_MAX

    async def main() -> tuple[ScriptEnded, list[Report]]:
        reports: list[Report] = []
        script = b'grep -c InstanceId "$SAGEMAKER_RESOURCE_CONFIG_PATH"\n'
        async with asyncio.timeout(WAIT_S), FakeServer({"on_create.sh": BASH + script}) as server:
            server.config = gzip.compress(told)
            return await perform(server.settings(tmp_path), order(), reports.append), reports

    ended, reports = asyncio.run(main())
    assert ended.outcome == "succeeded"
    assert texts(reports)[1] == "10000"
    assert (tmp_path / config.RESOURCE_CONFIG).read_bytes() == told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gzip.compress(bytes(30_000)), "resource_config.json unpacks to more than"),
        (b"x" * 30_000, "the resource_config.json is larger than"),
        (b"{}", "resource_config.json cannot be unpacked"),
        (gzip.compress(b"{}")[:-5], "resource_config.json cannot be unpacked"),
    ],
    ids=["unpacks-large", "large", "plain", "cut"],
)
def test_a_resource_config_that_cannot_be_taken_is_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, words: str
) -> None:
    monkeypatch.setattr(config, "CONFIG_BYTES_MAX", 20_000)

    async def main() -> ScriptEnded:
        async with asyncio.timeout(WAIT_S), FakeServer({"on_create.sh": b"true\n"}) as server:
            server.config = answer
            return await perform(server.settings(tmp_path), order(), lambda report: None)

    ended = asyncio.run(main())
    assert ended.outcome == "not-started"
    assert words in ended.detail


def test_a_bundle_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "BUNDLE_FILES_MAX", 2)
    ended, _, _ = performed(tmp_path, {str(number): b"" for number in range(3)})
    assert "unpacks to more than 2 files" in ended.detail


def test_an_old_bundle_leaves_nothing_in_the_new_one(tmp_path: Path) -> None:
    performed(tmp_path, {"on_create.sh": b"", "old": b""})
    _, reports, _ = performed(tmp_path, {"on_create.sh": b"ls\n", "new": b""})
    assert texts(reports)[1:-1] == ["new", "on_create.sh"]


def test_a_leftover_of_a_killed_agent_is_ended_and_a_stranger_with_its_number_is_not(tmp_path: Path) -> None:
    leftover = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "script").write_text(f"{leftover.pid} 12345")
        process.end_leftover(tmp_path / "script")
        assert leftover.poll() is None
        assert not (tmp_path / "script").exists()
        (tmp_path / "script").write_text(f"{leftover.pid} {process.started_at(leftover.pid)}")
        process.end_leftover(tmp_path / "script")
        assert leftover.wait(WAIT_S) == -signal.SIGKILL
    finally:
        leftover.kill()
        leftover.wait()
