"""A server that may fall and start again at the same address, and the calls of a user's script that lives with it."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from tests.harness import REGION, WAIT_S, RunningServer, eventually, free_port

ACCOUNT = "111122223333"
CLUSTER_LOG, NODE_LOG, JOB_LOG = "/event/hyperpod/cluster", "/event/hyperpod/node", "/event/jobs"
PATTERNS: dict[str, dict[str, list[str]]] = {
    CLUSTER_LOG: {"source": ["aws.sagemaker"], "detail-type": ["SageMaker HyperPod Cluster State Change"]},
    NODE_LOG: {"source": ["aws.sagemaker"], "detail-type": ["SageMaker HyperPod Cluster Node Health Event"]},
    JOB_LOG: {"source": ["my.jobs"]},
}
CONTROLLER, WORKER = "controller-machine", "worker-group-1"
BUCKET = "sagemaker-lifecycle-test"
# What a script tries again: nobody there, cut in the middle, or asked to come back later.
_CUT = (HTTPClientError, EndpointConnectionError)
_AGAIN = ("ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "ThrottlingException")


class Stage:
    """One data directory, and the server that runs on it at the moment."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.server = self._started()
        client = self.server.client
        self.sagemaker, self.events, self.logs = client("sagemaker"), client("events"), client("logs")
        self.source = self.server.bucket(BUCKET, {"on_create.sh": "echo provisioned\n"})

    def _started(self, *options: str) -> RunningServer:
        return RunningServer(self.data, "--port", str(self.port), *options)

    def restart(self, *options: str) -> None:
        self.server = self._started(*options)

    def kill(self) -> None:
        """kill -9 of the server alone."""
        self.server.kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop; answers its exit code."""
        self.server.process.send_signal(number)
        return self.server._ended()

    # The calls of a script that tries again.

    def call(self, request: Callable[[], Any], *fine: str) -> Any:
        """The answer, once there is one. A refusal with a code in `fine` says that it was done before."""

        def attempt() -> list[Any] | None:
            try:
                answer = request()
                return None if _bare(answer) else [answer]
            except _CUT:
                return None
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in fine:
                    return [None]
                if code in _AGAIN:
                    return None
                raise

        [answer] = eventually(attempt, "an answer of the server")
        return answer

    def route(self, group: str) -> None:
        """A log group, a rule and a target between them."""
        rule = group.strip("/").replace("/", "-")
        self.call(lambda: self.logs.create_log_group(logGroupName=group), "ResourceAlreadyExistsException")
        self.call(lambda: self.events.put_rule(Name=rule, EventPattern=json.dumps(PATTERNS[group])))
        target = {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"}
        self.call(lambda: self.events.put_targets(Rule=rule, Targets=[target]))

    def group(self, name: str, count: int = 1) -> dict[str, Any]:
        return {
            "InstanceGroupName": name,
            "InstanceCount": count,
            "InstanceType": "ml.t3.medium",
            "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/hyperpod",
            "LifeCycleConfig": {"SourceS3Uri": self.source, "OnCreate": "on_create.sh"},
        }

    def create(self, name: str, *groups: dict[str, Any], **more: Any) -> None:
        self.call(
            lambda: self.sagemaker.create_cluster(ClusterName=name, InstanceGroups=list(groups), **more),
            "ResourceInUse",
        )

    def status(self, name: str) -> str:
        """ "" when the cluster is gone."""
        found = self.call(lambda: self.sagemaker.describe_cluster(ClusterName=name), "ResourceNotFound")
        return found["ClusterStatus"] if found else ""

    def until(self, name: str, status: str) -> None:
        eventually(lambda: self.status(name) == status, f"{name} is {status or 'gone'}")

    def counts(self, name: str) -> dict[str, int]:
        """The target of each group."""
        found = self.call(lambda: self.sagemaker.describe_cluster(ClusterName=name))
        return {one["InstanceGroupName"]: one["TargetCount"] for one in found["InstanceGroups"]}

    def update(self, name: str, reached: Callable[[dict[str, int]], bool], **request: Any) -> None:
        """Ask until it is as wanted: a script that lost the answer looks before it asks again."""

        def attempt() -> bool:
            if not reached(self.counts(name)):
                # Refused as a repeat of what was done, or as too early: the next look tells.
                fine = ("ConflictException", "ValidationException")
                self.call(lambda: self.sagemaker.update_cluster(ClusterName=name, **request), *fine)
            return reached(self.counts(name)) and self.status(name) == "InService"

        eventually(attempt, f"{name} is updated")

    def delete(self, name: str) -> None:
        self.call(lambda: self.sagemaker.delete_cluster(ClusterName=name), "ConflictException", "ResourceNotFound")
        self.until(name, "")

    def nodes(self, name: str) -> dict[str, dict[str, Any]]:
        """The nodes of a cluster by instance id."""
        found = self.call(lambda: self.sagemaker.list_cluster_nodes(ClusterName=name))
        return {one["InstanceId"]: one for one in found["ClusterNodeSummaries"]}

    def running(self, name: str) -> list[str]:
        return [key for key, one in self.nodes(name).items() if one["InstanceStatus"]["Status"] == "Running"]

    def told(self, group: str) -> list[dict[str, Any]]:
        """The events in a log group, in the order they were delivered."""
        return [json.loads(line["message"]) for line in self._lines(group)]

    def _lines(self, group: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            return [line for page in pages for line in page["events"]]

        found: list[dict[str, Any]] = self.call(read)
        return found

    def healths(self) -> list[tuple[str, str]]:
        """(instance id, health) of each node health event."""
        return [
            (one["detail"]["InstanceId"], one["detail"]["HealthSummary"]["HealthStatus"]) for one in self.told(NODE_LOG)
        ]

    def statuses(self, name: str) -> list[str]:
        return [
            one["detail"]["ClusterStatus"] for one in self.told(CLUSTER_LOG) if one["detail"]["ClusterName"] == name
        ]

    def output(self, name: str) -> dict[str, list[str]]:
        """What the lifecycle scripts of a cluster wrote, living or gone, by instance id."""
        prefix = f"/aws/sagemaker/Clusters/{name}/"
        output: dict[str, list[str]] = {}
        for group in self.call(lambda: self.logs.describe_log_groups(logGroupNamePrefix=prefix))["logGroups"]:
            where = group["logGroupName"]
            for line in self._lines(where):
                output.setdefault(line["logStreamName"].rpartition("/")[2], []).append(line["message"])
        return output

    # The machines.

    def pid(self, instance_id: str) -> int:
        return int((self.data / "machines" / instance_id / "pid").read_text())

    def kill_agent(self, instance_id: str) -> None:
        os.kill(self.pid(instance_id), signal.SIGKILL)

    def agents(self) -> dict[str, int]:
        """The agents that live on this data directory, by instance id."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if entry.name.isdigit() and "agent" in arguments and f"{self.data}/machines/" in "\0".join(arguments):
                    found[arguments[arguments.index("--instance-id") + 1]] = int(entry.name)
        return found

    def close(self) -> None:
        """Whatever happened: nothing of it runs any more."""
        if self.server.process.poll() is None:
            self.server.kill()
        for pid in self.agents().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Jobs:
    """A side client that puts numbered events all the time. `accepted` are the ids the server acknowledged."""

    def __init__(self, stage: Stage) -> None:
        self.accepted: dict[str, int] = {}
        self.broken: BaseException | None = None
        self._stage = stage
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._put_all()
        except BaseException as error:
            self.broken = error

    def _put_all(self) -> None:
        number = 0
        events = self._stage.server.client("events")
        while not self._done.wait(0.02):
            entries = [
                {"Source": "my.jobs", "DetailType": "Job", "Detail": json.dumps({"number": number + more})}
                for more in range(5)
            ]
            try:
                answer = events.put_events(Entries=entries)
            except _CUT:
                continue
            except ClientError as error:
                if error.response["Error"]["Code"] in _AGAIN:
                    continue
                raise
            for more, entry in enumerate(answer["Entries"] if not _bare(answer) else []):
                if "EventId" in entry:
                    self.accepted[entry["EventId"]] = number + more
            number += 5

    def __enter__(self) -> "Jobs":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        if self.broken:
            raise self.broken


def _bare(answer: Any) -> bool:
    """Whether the server fell between an answer's head and its body: boto3 takes that for an answer without members."""
    if not isinstance(answer, dict) or answer.keys() != {"ResponseMetadata"}:
        return False
    return answer["ResponseMetadata"]["HTTPHeaders"].get("content-length", "0") not in ("0", "2")  # nothing, or {}


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    stage = Stage(folder / "data")
    try:
        yield stage
    finally:
        stage.close()
