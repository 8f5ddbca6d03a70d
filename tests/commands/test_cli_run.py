"""`tocsin run`, as it is typed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.commands.conftest import Fleet
from tests.doors.asking import tocsin
from tests.harness import WAIT_S, eventually


def where(fleet: Fleet) -> tuple[str, ...]:
    return ("--endpoint-url", fleet.server.endpoint, "--account", fleet.account)


def test_the_output_of_a_node_comes_as_it_is(fleet: Fleet) -> None:
    ran = tocsin("run", fleet.nodes[0], *where(fleet), "--", "printf 'a\\nb'; echo oops >&2")
    assert (ran.returncode, ran.stdout) == (0, "a\nb")
    assert "oops\n" in ran.stderr


def test_lines_of_several_nodes_say_whose_they_are(fleet: Fleet) -> None:
    ran = tocsin("run", "lab/workers", *where(fleet), "--max-errors", "1", "--", "echo", "two words", "--flag")
    assert ran.returncode == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()) == [f"{node}  two words --flag" for node in fleet.nodes]
    assert "2 of 2 nodes succeeded" in ran.stderr


def test_a_failure_is_an_exit_code_and_a_reason(fleet: Fleet) -> None:
    ran = tocsin("run", fleet.nodes[0], *where(fleet), "--timeout", "60", "--", "exit 9")
    assert ran.returncode == 1
    assert f"{fleet.nodes[0]}: Failed (code 9)" in ran.stderr


def test_a_document_runs_with_its_parameters(fleet: Fleet) -> None:
    given = ("--document", "AWS-RunPythonScript", "-p", "commands=import os", "-p", "commands=print(os.sep)")
    ran = tocsin("run", fleet.nodes[0], *given, *where(fleet))
    assert (ran.returncode, ran.stdout) == (0, "/\n")


def test_the_story_of_a_node_tells_its_commands_and_events_show_them(fleet: Fleet) -> None:
    command = fleet.run(commands=["exit 3"])
    fleet.over(command)
    told = tocsin("story", fleet.nodes[0], *where(fleet)).stdout
    [line] = [line for line in told.splitlines() if command in line]
    assert "AWS-RunShellScript: Failed" in line
    shown = tocsin("events", "--source", "aws.ssm", *where(fleet)).stdout
    assert [line for line in shown.splitlines() if command in line and f"Failed on {fleet.nodes[0]}" in line]


def test_what_cannot_be_meant_is_said(fleet: Fleet) -> None:
    assert "either a command" in tocsin("run", fleet.nodes[0], *where(fleet)).stderr
    assert "one CLUSTER/GROUP" in tocsin("run", "lab", "other", *where(fleet), "--", "true").stderr
    nobody = tocsin("run", "nobody", *where(fleet), "--", "true")
    assert (nobody.returncode, "no node fits" in nobody.stderr) == (1, True)
    stranger = tocsin("run", "i-0123456789abcdef0", *where(fleet), "--", "true")
    assert (stranger.returncode, "not in a valid state" in stranger.stderr) == (1, True)


def test_interrupted_it_cancels_the_command(fleet: Fleet, tmp_path: Path) -> None:
    arguments = ["run", fleet.nodes[0], *where(fleet), "--", f"echo on; touch {tmp_path}/on; sleep 600"]
    running = subprocess.Popen(
        [sys.executable, "-m", "tocsin", *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    eventually((tmp_path / "on").exists, "it runs")
    os.kill(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=WAIT_S)
    assert running.returncode == 130
    command = told.split()[1]
    assert fleet.over(command)["Status"] == "Cancelled"
