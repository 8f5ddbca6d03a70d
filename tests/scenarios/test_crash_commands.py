"""Server and agents fall while commands run: each runs at most once on a node, and each comes to an end that is told.

TOCSIN_CRASH_KILLS (8) says how often something falls, TOCSIN_CRASH_SEED (1) what and when. What ran is proved by
traces that the commands leave outside of their nodes.
"""

import contextlib
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.auditing import world_in
from tests.harness import WAIT_S, eventually
from tests.scenarios.stage import WORKER, Stage, staged
from tocsin.core.audit import audit

KILLS = int(os.environ.get("TOCSIN_CRASH_KILLS", "8"))
SEED = int(os.environ.get("TOCSIN_CRASH_SEED", "1"))
NODES = 4
COMMANDS = 50  # on all nodes: 200 invocations
OPEN = ("Pending", "InProgress", "Delayed", "Cancelling")
LINES = 5
PAUSE_S = 0.15  # between two commands, so that they meet every fall


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


class Sender:
    """Sends commands while everything falls. An answer that is lost leaves the command; it is found in the listing."""

    def __init__(self, stage: Stage, traces: Path) -> None:
        self.broken: BaseException | None = None
        self._stage = stage
        self._ssm = stage.server.client("ssm")
        self._script = [
            f'echo "$TOCSIN_COMMAND_ID $TOCSIN_INSTANCE_ID begun" >> {traces}',
            f'for number in $(seq {LINES}); do echo "$TOCSIN_INSTANCE_ID line $number"; sleep 0.02; done',
            f'echo "$TOCSIN_COMMAND_ID $TOCSIN_INSTANCE_ID ended" >> {traces}',
        ]
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            for _ in range(COMMANDS):
                self._send()
                self._pause.wait(PAUSE_S)
        except BaseException as error:
            self.broken = error

    def _send(self) -> None:
        """To all nodes, some of which may be dead or half-booted."""
        target = [{"Key": "tag:tocsin:cluster", "Values": ["lab"]}]
        request = {"DocumentName": "AWS-RunShellScript", "Targets": target, "Parameters": {"commands": self._script}}
        self._stage.call(lambda: self._ssm.send_command(**request, MaxErrors="100%"))

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        if self.broken:
            raise self.broken


def fall(stage: Stage, chance: random.Random) -> None:
    """One of the two, at a random moment: the server by kill -9 or in good order, an agent by kill -9."""
    threading.Event().wait(chance.uniform(0.05, 0.4))
    match chance.choice(["kill", "kill", "stop", "agent"]):
        case "kill":
            stage.kill()
            stage.restart()
        case "stop":
            assert stage.stop() == 0
            stage.restart()
        case _:
            agents = sorted(stage.agents())
            if agents:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    stage.kill_agent(chance.choice(agents))


def listed(stage: Stage, operation: str, member: str, **request: Any) -> list[dict[str, Any]]:
    ssm = stage.server.client("ssm")

    def read() -> list[dict[str, Any]]:
        return [one for page in ssm.get_paginator(operation).paginate(**request) for one in page[member]]

    found: list[dict[str, Any]] = stage.call(read)
    return found


def test_each_command_ran_at_most_once_on_a_node_and_ended_with_its_output(stage: Stage) -> None:
    traces = stage.data.parent / "traces"
    traces.touch()
    chance = random.Random(SEED)
    stage.create("lab", stage.group(WORKER, NODES))
    stage.until("lab", "InService")
    with Sender(stage, traces):
        for _ in range(KILLS):
            fall(stage, chance)

    def all_over() -> bool:
        return all(one["Status"] not in OPEN for one in listed(stage, "list_commands", "Commands"))

    eventually(all_over, "every command is over")
    invocations = listed(stage, "list_command_invocations", "CommandInvocations", Details=True)
    assert len(listed(stage, "list_commands", "Commands")) >= COMMANDS
    assert len(invocations) >= COMMANDS * NODES // 2
    lines = traces.read_text().splitlines()
    assert [line for line, times in Counter(lines).items() if times > 1] == []
    ran = {tuple(line.split()[:2]) for line in lines if line.endswith("ended")}
    begun = {tuple(line.split()[:2]) for line in lines if line.endswith("begun")}
    for one in invocations:
        check(one, (one["CommandId"], one["InstanceId"]), begun, ran)
    told = Counter(one["StatusDetails"] for one in invocations)
    assert stage.stop() == 0
    assert audit(world_in(stage.data)) == []
    assert told["Success"] > len(invocations) // 4, told


def check(one: dict[str, Any], place: tuple[str, str], begun: set[Any], ran: set[Any]) -> None:
    [plugin] = one["CommandPlugins"]
    assert one["Status"] not in OPEN, one
    if one["Status"] == "Success":
        assert place in ran, one
        assert plugin["Output"] == "".join(f"{place[1]} line {number + 1}\n" for number in range(LINES))
        return
    assert one["TraceOutput"], one  # why not
    assert one["Status"] in ("Failed", "TimedOut"), one
    if one["StatusDetails"] == "Failed":
        assert place in begun or "began" in one["TraceOutput"], one


def test_a_command_that_runs_on_while_the_server_is_away_ends_with_all_its_output(stage: Stage) -> None:
    stage.create("lab", stage.group(WORKER, 1))
    stage.until("lab", "InService")
    [node] = stage.nodes("lab")
    ssm, gate = stage.server.client("ssm"), stage.data.parent / "gate"
    script = ["echo before", f"while [ ! -e {gate} ]; do sleep 0.05; done", "seq 1 1000"]
    sent = ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[node], Parameters={"commands": script})
    where = {"CommandId": sent["Command"]["CommandId"], "InstanceId": node}
    eventually(lambda: "before" in ssm.get_command_invocation(**where)["StandardOutputContent"], "it runs")
    stage.kill()
    gate.touch()
    stage.restart()

    def over() -> Any:
        found = stage.call(lambda: ssm.get_command_invocation(**where))
        return found if found["Status"] not in OPEN else None

    found = eventually(over, "the command is over")
    assert found["Status"] == "Success"
    assert found["StandardOutputContent"] == "before\n" + "".join(f"{number + 1}\n" for number in range(1000))


def test_a_command_waits_for_a_node_that_is_parked_and_ends_when_it_is_back(stage: Stage) -> None:
    """An orderly stop ends agents and what they run: that is told, and the next command runs on the same node."""
    stage.create("lab", stage.group(WORKER, 1))
    stage.until("lab", "InService")
    [node] = stage.nodes("lab")
    ssm = stage.server.client("ssm")
    request = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [node]}
    first = ssm.send_command(**request, Parameters={"commands": ["echo on; sleep 600"]})["Command"]["CommandId"]
    where = {"CommandId": first, "InstanceId": node}
    eventually(lambda: ssm.get_command_invocation(**where)["StandardOutputContent"] == "on\n", "it runs")
    assert stage.stop() == 0
    stage.restart()
    found = eventually(lambda: _over(stage, first, node), "the first is over")
    assert (found["Status"], found["StandardOutputContent"]) == ("Failed", "on\n")
    assert "agent ended while the command ran" in found["StandardErrorContent"]
    second = stage.call(lambda: ssm.send_command(**request, Parameters={"commands": ["echo again"]}))
    found = eventually(lambda: _over(stage, second["Command"]["CommandId"], node), "the second is over")
    assert found["StandardOutputContent"] == "again\n"


def _over(stage: Stage, command_id: str, node: str) -> dict[str, Any] | None:
    ssm = stage.server.client("ssm")
    try:
        found: dict[str, Any] = stage.call(lambda: ssm.get_command_invocation(CommandId=command_id, InstanceId=node))
    except ClientError:
        return None
    return None if found["Status"] in OPEN else found


def test_a_node_that_is_replaced_leaves_its_command_undeliverable(stage: Stage) -> None:
    stage.create("lab", stage.group(WORKER, 1))
    stage.until("lab", "InService")
    [node] = stage.nodes("lab")
    ssm = stage.server.client("ssm")
    script = {"commands": ["echo on; sleep 600"]}
    sent = ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[node], Parameters=script)
    where = {"CommandId": sent["Command"]["CommandId"], "InstanceId": node}
    eventually(lambda: ssm.get_command_invocation(**where)["StandardOutputContent"] == "on\n", "it runs")
    stage.kill_agent(node)
    found = eventually(lambda: _over(stage, where["CommandId"], node), "it is over")
    assert (found["Status"], found["StatusDetails"]) == ("Failed", "Undeliverable")
    assert "replaced or removed" in found["StandardErrorContent"]
    [command] = ssm.list_commands(CommandId=where["CommandId"])["Commands"]
    assert command["StatusDetails"] in ("Undeliverable", "InProgress")
