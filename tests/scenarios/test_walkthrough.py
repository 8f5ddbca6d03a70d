"""The walkthrough as a transcript: the calls that a user makes, and the events that the rules bring, in order.

`pytest tests/scenarios --rewrite-transcripts` writes the transcript anew; a difference is for people to judge.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness import eventually
from tests.scenarios.stage import BUCKET, CLUSTER_LOG, CONTROLLER, JOB_LOG, NODE_LOG, WORKER, Stage, staged

NAME, LEFT_ALONE = "walkthrough", "left-alone"
TRANSCRIPT = Path(__file__).with_name("walkthrough.txt")


class Transcript:
    """Lines so far. Ids are told by the order of their appearance: they differ from run to run."""

    def __init__(self, stage: Stage) -> None:
        self.lines: list[str] = []
        self._stage = stage
        self._seen = {CLUSTER_LOG: 0, NODE_LOG: 0}
        self._ids: dict[str, str] = {}

    def say(self, line: str) -> None:
        self.lines.append(self._normal(line))

    def expect(self, group: str, number: int) -> list[dict[str, Any]]:
        """Write down the next events of a log group. More than that show up in the next ones, or in the end."""
        wanted = self._seen[group] + number
        told = eventually(lambda: self._enough(group, wanted), f"{number} more events in {group}")
        news: list[dict[str, Any]] = told[self._seen[group] : wanted]
        self._seen[group] = wanted
        for event in news:
            self.say(f"< {event['detail-type']}: {_facts(event['detail'])}")
        return news

    def end(self) -> None:
        """Nothing came that was not expected."""
        for group, seen in self._seen.items():
            surplus = self._stage.told(group)[seen:]
            self.say(f"= {group}: {seen} events" + "".join(f"\n! {_facts(one['detail'])}" for one in surplus))

    def _enough(self, group: str, wanted: int) -> list[dict[str, Any]] | None:
        told = self._stage.told(group)
        return told if len(told) >= wanted else None

    def _normal(self, line: str) -> str:
        for found in re.findall(r"i-[0-9a-f]{17}", line):
            self._ids.setdefault(found, f"i-{len(self._ids) + 1}")
        return re.sub(r"i-[0-9a-f]{17}", lambda match: self._ids[match[0]], line)


def _facts(detail: dict[str, Any]) -> str:
    if "HealthSummary" in detail:
        return " | ".join([detail["ClusterName"], detail["InstanceId"], *detail["HealthSummary"].values()])
    groups = [
        f"{one['InstanceGroupName']} {one['Status']} {one['CurrentCount']}/{one['TargetCount']}"
        for one in detail["InstanceGroups"]
    ]
    return " | ".join([detail["ClusterName"], detail["ClusterStatus"], *groups])


def play(stage: Stage, transcript: Transcript) -> None:
    say, expect = transcript.say, transcript.expect
    script = "echo this is $TOCSIN_INSTANCE_NAME\ntest -s $SAGEMAKER_RESOURCE_CONFIG_PATH\n"
    stage.server.bucket(BUCKET, {"on_create.sh": script})
    for group in (CLUSTER_LOG, NODE_LOG, JOB_LOG):
        say(f"$ create-log-group, put-rule, put-targets {group}")
        stage.route(group)

    say(f"$ create-cluster {NAME} {CONTROLLER} x1 {WORKER} x1 NodeRecovery=Automatic")
    stage.create(NAME, stage.group(CONTROLLER), stage.group(WORKER), NodeRecovery="Automatic")
    expect(CLUSTER_LOG, 2)
    for node, lines in sorted(stage.output(NAME).items(), key=lambda one: one[1]):
        say(f"= {node} wrote {lines}")

    say(f"$ update-cluster {NAME} {WORKER} x2")
    stage.sagemaker.update_cluster(ClusterName=NAME, InstanceGroups=[stage.group(WORKER, 2)])
    expect(CLUSTER_LOG, 2)
    workers = [one["InstanceGroupName"] for one in stage.nodes(NAME).values()]
    say(f"= {sorted(workers)} {sorted({one['InstanceStatus']['Status'] for one in stage.nodes(NAME).values()})}")

    say(f"$ update-cluster {NAME} --instance-groups-to-delete {WORKER}")
    stage.sagemaker.update_cluster(ClusterName=NAME, InstanceGroupsToDelete=[WORKER])
    expect(CLUSTER_LOG, 2)

    [node] = stage.nodes(NAME)
    say(f"$ kill -9 the agent of {node}")
    stage.kill_agent(node)
    expect(NODE_LOG, 2)
    say(f"= the cluster is {stage.status(NAME)}, running {stage.running(NAME)}")
    say(f"$ delete-cluster {NAME}")
    stage.delete(NAME)
    expect(CLUSTER_LOG, 1)

    say(f"$ create-cluster {LEFT_ALONE} {CONTROLLER} x1 NodeRecovery=None")
    stage.create(LEFT_ALONE, stage.group(CONTROLLER), NodeRecovery="None")
    expect(CLUSTER_LOG, 2)
    [node] = stage.nodes(LEFT_ALONE)
    say(f"$ kill -9 the agent of {node}")
    stage.kill_agent(node)
    expect(NODE_LOG, 1)
    left = {key: one["InstanceStatus"]["Status"] for key, one in stage.nodes(LEFT_ALONE).items()}
    say(f"= the cluster is {stage.status(LEFT_ALONE)}, nodes are {left}")
    say(f"$ delete-cluster {LEFT_ALONE}")
    stage.delete(LEFT_ALONE)
    expect(CLUSTER_LOG, 1)
    transcript.end()
    say(f"= agents: {stage.agents()}")


def test_the_walkthrough_goes_as_it_is_written(tmp_path: Path, rewrite_transcripts: bool) -> None:
    with staged(tmp_path) as stage:
        transcript = Transcript(stage)
        play(stage, transcript)
        assert stage.stop() == 0
    text = "\n".join(transcript.lines) + "\n"
    if rewrite_transcripts:
        TRANSCRIPT.write_text(text)
        pytest.skip(f"{TRANSCRIPT.name} was written anew")
    assert text == TRANSCRIPT.read_text()
