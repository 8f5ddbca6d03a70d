"""`tocsin demo`: the walkthrough, on a server of its own, with the calls that a user makes.

It reads what the rules delivered into the log groups, to its mail server and its Slack room, and ends with 0 only when
everything expected is there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.markup import escape

from tocsin.cli.demo_guests import MailServer, SlackRoom, guests
from tocsin.cli.demo_told import Missing, press_button, settings_file, show_told, tell
from tocsin.cli.show import describe_event, styled

CLUSTER_LOG, NODE_LOG = "/event/hyperpod/cluster", "/event/hyperpod/node"
STATE_CHANGE = "SageMaker HyperPod Cluster State Change"
NODE_HEALTH = "SageMaker HyperPod Cluster Node Health Event"
NAME, CONTROLLER, WORKER = "walkthrough", "controller-machine", "worker-group-1"
BUCKET = "sagemaker-lifecycle-demo"
ACCOUNT, REGION = "111122223333", "us-west-2"
EVENT_LIMIT_S = 20.0  # an event that is not there by then is missing
START_LIMIT_S = 20.0
LOOK_EVERY_S = 0.05

SCRIPT = """#!/bin/bash
set -euo pipefail
echo "this is $TOCSIN_INSTANCE_NAME ($TOCSIN_INSTANCE_ADDRESS), process $$ on $(uname -n)"
grep -c '"InstanceId"' "$SAGEMAKER_RESOURCE_CONFIG_PATH" | sed 's/$/ instances in resource_config.json/'
echo "provisioned" > "$HOME/provisioned"
"""


class Stage:
    """The clients, the narration, and what was already seen in the log groups."""

    def __init__(self, endpoint: str, console: Console, mail: MailServer, slack: SlackRoom) -> None:
        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=endpoint,
                region_name=REGION,
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key="demo",  # noqa: S106 - any will do on a server without configured keys
            )

        self.endpoint = endpoint
        self.console = console
        self.mail, self.slack = mail, slack
        self.sagemaker, self.events, self.logs = client("sagemaker"), client("events"), client("logs")
        self.sns, self.chatbot, self.ssm = client("sns"), client("chatbot"), client("ssm")
        self._seen: set[str] = set()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/]", highlight=False)

    def ask(self, call: str, request: Callable[[], Any]) -> Any:
        """Make a call and show it."""
        began = time.monotonic()
        answer = request()
        took_ms = (time.monotonic() - began) * 1000
        self.console.print(f"  [blue]→[/] {escape(call)} [dim]{took_ms:.0f} ms[/]", highlight=False, soft_wrap=True)
        return answer

    def expect(self, group: str, what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event in the log group that is wanted and was not seen before. Raises Missing."""
        began = time.monotonic()
        while time.monotonic() - began < EVENT_LIMIT_S:
            for event in self._new(group):
                self._seen.add(event["id"])
                took_s = time.monotonic() - began
                line = f"  [green]←[/] {describe_event(event)} [dim]after {took_s:.1f} s[/]"
                self.console.print(line, highlight=False, soft_wrap=True)
                if wanted(event["detail"]):
                    return event
            time.sleep(LOOK_EVERY_S)
        raise Missing(f"{what} did not arrive in {group} within {EVENT_LIMIT_S:g} s")

    def _new(self, group: str) -> list[dict[str, Any]]:
        found = self.logs.filter_log_events(logGroupName=group)["events"]
        events = [json.loads(line["message"]) for line in found]
        return [event for event in events if event["id"] not in self._seen]

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began


def run(*, keep: bool, color: bool) -> int:
    """Play it. 0: every expected event arrived."""
    console = Console(no_color=not color, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    try:
        with guests() as (mail, slack), _server(folder, settings_file(folder, mail, slack)) as endpoint:
            stage = Stage(endpoint, console, mail, slack)
            console.print(f"A Tocsin of its own listens at {endpoint}")
            for act in (_rules, _told, _create, _shrink, _kill, _look, _delete):
                act(stage, folder)
            console.print(f"\n[bold green]Everything expected arrived.[/] {stage.elapsed_s():.1f} s in all.")
            console.print("A server of your own: tocsin serve. README.md goes on from there.")
            return 0
    except Missing as error:
        console.print(f"\n[bold red]{escape(str(error))}[/]")
        return 1
    finally:
        if keep:
            console.print(f"Kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(folder: Path, config: Path) -> Iterator[str]:
    """A server in a process of its own, as anybody would start it."""
    errors = (folder / "server.log").open("wb")
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    command += ["--config", str(config)]
    with errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if "ready" not in line:
                raise Missing(f"the server did not start: {(folder / 'server.log').read_text()}")
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_LIMIT_S)


def _status(status: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda detail: detail.get("ClusterStatus") == status


def _health(status: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda detail: detail["HealthSummary"]["HealthStatus"] == status


def _rules(stage: Stage, _folder: Path) -> None:
    stage.say("1. Two log groups, and two rules that route the cluster's events into them")
    for group, rule, detail_type in ((CLUSTER_LOG, "cluster", STATE_CHANGE), (NODE_LOG, "node", NODE_HEALTH)):
        _route(stage, group, f"hyperpod-{rule}", detail_type)


def _route(stage: Stage, group: str, rule: str, detail_type: str) -> None:
    pattern = json.dumps({"source": ["aws.sagemaker"], "detail-type": [detail_type]})
    target = {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"}
    stage.ask(f"logs create-log-group {group}", lambda: stage.logs.create_log_group(logGroupName=group))
    stage.ask(f"events put-rule {rule} {pattern}", lambda: stage.events.put_rule(Name=rule, EventPattern=pattern))
    stage.ask(f"events put-targets {rule} → {group}", lambda: stage.events.put_targets(Rule=rule, Targets=[target]))


def _told(stage: Stage, _folder: Path) -> None:
    stage.say(
        "2. Who is told: a person by mail, a Slack channel by card; and a command runs on whichever node comes anew"
    )
    tell(stage, ACCOUNT, REGION, NODE_HEALTH)


def _group(name: str) -> dict[str, Any]:
    return {
        "InstanceGroupName": name,
        "InstanceCount": 1,
        "InstanceType": "ml.t3.medium",
        "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/sagemaker-hyperpod-role",
        "LifeCycleConfig": {"SourceS3Uri": f"s3://{BUCKET}/config/", "OnCreate": "on_create.sh"},
    }


def _create(stage: Stage, folder: Path) -> None:
    stage.say("3. A cluster: a controller, a worker, and a lifecycle script that really runs, controller first")
    scripts = folder / "data" / "s3" / BUCKET / "config"
    scripts.mkdir(parents=True)
    (scripts / "on_create.sh").write_text(SCRIPT)
    stage.ask(
        f"sagemaker create-cluster {NAME}: {CONTROLLER} x1, {WORKER} x1",
        lambda: stage.sagemaker.create_cluster(
            ClusterName=NAME, InstanceGroups=[_group(CONTROLLER), _group(WORKER)], NodeRecovery="Automatic"
        ),
    )
    stage.expect(CLUSTER_LOG, "Creating", _status("Creating"))
    stage.expect(CLUSTER_LOG, "InService", _status("InService"))
    arn = stage.sagemaker.describe_cluster(ClusterName=NAME)["ClusterArn"]
    log_group = f"/aws/sagemaker/Clusters/{NAME}/{arn.split('/')[-1]}"
    for line in stage.logs.filter_log_events(logGroupName=log_group)["events"]:
        stage.console.print(f"    [dim]{escape(line['logStreamName'])}[/] {escape(line['message'])}", soft_wrap=True)


def _shrink(stage: Stage, _folder: Path) -> None:
    stage.say("4. The worker group is deleted: in the event it is still there, Deleting, current 1, target 0")
    stage.ask(
        f"sagemaker update-cluster {NAME} --instance-groups-to-delete {WORKER}",
        lambda: stage.sagemaker.update_cluster(ClusterName=NAME, InstanceGroupsToDelete=[WORKER]),
    )
    updating = stage.expect(CLUSTER_LOG, "Updating", _status("Updating"))["detail"]["InstanceGroups"]
    ending = [(one["InstanceGroupName"], one["CurrentCount"], one["TargetCount"], one["Status"]) for one in updating]
    if (WORKER, 1, 0, "Deleting") not in ending:
        raise Missing(f"the Updating event does not show {WORKER} as Deleting, current 1, target 0")
    left = stage.expect(CLUSTER_LOG, "InService", _status("InService"))["detail"]["InstanceGroups"]
    if [one["InstanceGroupName"] for one in left] != [CONTROLLER]:
        raise Missing(f"the InService event still shows {WORKER}")


def _kill(stage: Stage, folder: Path) -> None:
    stage.say("5. kill -9 of the controller's agent: found dead, reported, replaced")
    node = stage.sagemaker.list_cluster_nodes(ClusterName=NAME)["ClusterNodeSummaries"][0]["InstanceId"]
    pid = int((folder / "data" / "machines" / node / "pid").read_text())
    stage.ask(f"kill -9 {pid}  # tocsin agent --instance-id {node}", lambda: os.kill(pid, signal.SIGKILL))
    sick = stage.expect(NODE_LOG, "Unhealthy", _health("Unhealthy"))
    well = stage.expect(NODE_LOG, "Healthy", _health("Healthy"))
    old, new = sick["detail"]["InstanceId"], well["detail"]["InstanceId"]
    if old != node or new == node:
        raise Missing(f"expected {node} to be replaced, but the events name {old} and {new}")
    status = stage.sagemaker.describe_cluster_node(ClusterName=NAME, NodeId=new)["NodeDetails"]["InstanceStatus"]
    stage.console.print(f"    {new} is {styled(status['Status'])} in place of {old}")
    show_told(stage, (old, new))


def _look(stage: Stage, _folder: Path) -> None:
    stage.say(
        "6. Somebody mistrusts the new node and puts it aside; whoever reads the card looks into it by its button"
    )
    node = stage.sagemaker.list_cluster_nodes(ClusterName=NAME)["ClusterNodeSummaries"][0]["InstanceId"]
    reason = "loses packets"
    stage.ask(
        f'tocsin health quarantine {node} --reason "{reason}"',
        lambda: _amend(stage, node=node, action="quarantine", reason=reason),
    )
    stage.expect(NODE_LOG, "Unhealthy", _health("Unhealthy"))
    press_button(stage, node)
    stage.ask(f"tocsin health clear {node}", lambda: _amend(stage, node=node, action="clear"))
    stage.expect(NODE_LOG, "Healthy", _health("Healthy"))


def _amend(stage: Stage, **what: str) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{stage.endpoint}/_tocsin/v1/health", json.dumps(what).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=EVENT_LIMIT_S):  # noqa: S310 - our own server's
        pass


def _delete(stage: Stage, _folder: Path) -> None:
    stage.say("7. The cluster is deleted")
    stage.ask(f"sagemaker delete-cluster {NAME}", lambda: stage.sagemaker.delete_cluster(ClusterName=NAME))
    stage.expect(CLUSTER_LOG, "Deleting", _status("Deleting"))
    began = time.monotonic()
    while stage.sagemaker.list_clusters()["ClusterSummaries"]:
        if time.monotonic() - began > EVENT_LIMIT_S:
            raise Missing("the cluster is still listed")
        time.sleep(LOOK_EVERY_S)
    stage.console.print(f"  [green]←[/] it is gone from list-clusters [dim]after {time.monotonic() - began:.1f} s[/]")
