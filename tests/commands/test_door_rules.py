"""Run Command as a rule's target: commands that nobody sends by hand."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.commands.conftest import OPEN, Fleet
from tests.doors.asking import configured, log_lines, refusal, tocsin
from tests.doors.sickbay import XID, Sickbay
from tests.harness import REGION, RunningServer, eventually, free_port

SHELL = f"arn:aws:ssm:{REGION}::document/AWS-RunShellScript"


def aimed(arn: str = SHELL, **more: Any) -> dict[str, Any]:
    """A target on the node that the event names."""
    by_event = {"RunCommandTargets": [{"Key": "event", "Values": ["$.detail.InstanceId"]}]}
    return {"Id": "command", "Arn": arn, "RunCommandParameters": by_event, **more}


class Ruling:
    """A rule on a source of its own with one Run Command target."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.events = fleet.server.client("events", fleet.account)
        self.name = f"rule-{uuid4().hex[:8]}"
        self.events.put_rule(Name=self.name, EventPattern=json.dumps({"source": [self.name]}))

    def aim(self, arn: str = SHELL, **more: Any) -> None:
        self.events.put_targets(Rule=self.name, Targets=[aimed(arn, **more)])

    def happen(self, **detail: Any) -> None:
        entry = {"Source": self.name, "DetailType": "Ill", "Detail": json.dumps(detail)}
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def sent(self, comment: str) -> list[dict[str, Any]]:
        """Commands that are over, whose parameters hold the text."""
        found = self.fleet.ssm.list_commands()["Commands"]
        return [one for one in found if comment in json.dumps(one["Parameters"]) and one["Status"] not in OPEN]


@pytest.fixture
def ruling(fleet: Fleet) -> Iterator[Ruling]:
    made = Ruling(fleet)
    yield made
    made.events.remove_targets(Rule=made.name, Ids=["command"])
    made.events.delete_rule(Name=made.name)


def test_the_event_names_the_node_the_command_is_for(ruling: Ruling, fleet: Fleet) -> None:
    mark = uuid4().hex
    ruling.aim(Input=json.dumps({"commands": [f"echo {mark} $TOCSIN_INSTANCE_ID"]}))
    ruling.happen(InstanceId=fleet.nodes[1])
    [command] = eventually(lambda: ruling.sent(mark), "the command of the rule")
    assert command["Status"] == "Success"
    assert command["Targets"] == [{"Key": "InstanceIds", "Values": [fleet.nodes[1]]}]
    found = fleet.ended(command["CommandId"], fleet.nodes[1])
    assert found["StandardOutputContent"] == f"{mark} {fleet.nodes[1]}\n"
    # nobody waits for a rule's command, so its output is logged without being asked for
    assert f"{mark} {fleet.nodes[1]}" in log_lines(fleet.server, fleet.account, "/aws/ssm/AWS-RunShellScript")


def test_a_transformer_makes_the_parameters_out_of_the_event(ruling: Ruling, fleet: Fleet) -> None:
    mark = uuid4().hex
    ruling.aim(
        InputTransformer={
            "InputPathsMap": {"fault": "$.detail.Fault"},
            "InputTemplate": f'{{"commands": ["echo {mark} <fault>"]}}',
        }
    )
    ruling.happen(InstanceId=fleet.nodes[0], Fault="XidError79")
    [command] = eventually(lambda: ruling.sent(mark), "the command of the rule")
    assert fleet.ended(command["CommandId"])["StandardOutputContent"] == f"{mark} XidError79\n"


def test_tags_are_targets_as_on_aws(ruling: Ruling) -> None:
    mark = uuid4().hex
    by_tag = {"RunCommandTargets": [{"Key": "tag:team", "Values": ["vision"]}]}
    ruling.aim(Input=json.dumps({"commands": [f"echo {mark}"]}), RunCommandParameters=by_tag)
    ruling.happen()
    [command] = eventually(lambda: ruling.sent(mark), "the command of the rule")
    assert (command["Status"], command["TargetCount"]) == ("Success", 2)


def test_many_events_at_once_are_a_command_each(ruling: Ruling, fleet: Fleet) -> None:
    mark = uuid4().hex
    ruling.aim(Input=json.dumps({"commands": [f"echo {mark}"]}))
    entry = {"Source": ruling.name, "DetailType": "Ill", "Detail": json.dumps({"InstanceId": fleet.nodes[0]})}
    ruling.events.put_events(Entries=[entry] * 10)
    assert eventually(lambda: len(ruling.sent(mark)) >= 10, "ten commands")


def test_an_event_that_names_no_node_is_a_dead_letter(ruling: Ruling, fleet: Fleet) -> None:
    sqs = fleet.server.client("sqs", fleet.account)
    queue = sqs.create_queue(QueueName=f"dead-{ruling.name}")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{fleet.account}:dead-{ruling.name}"
    ruling.aim(Input='{"commands": ["true"]}', DeadLetterConfig={"Arn": arn})
    asked = {"QueueUrl": queue, "WaitTimeSeconds": 20, "MessageAttributeNames": ["All"]}
    for detail, code in (({}, "INVALID_PARAMETER"), ({"InstanceId": "i-0123456789abcdef0"}, "NO_RESOURCE")):
        ruling.happen(**detail)
        [message] = eventually(lambda: sqs.receive_message(**asked).get("Messages"), "a letter")
        assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == code
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def test_status_changes_are_events_of_aws_ssm(fleet: Fleet) -> None:
    events, logs = fleet.server.client("events", fleet.account), fleet.server.client("logs", fleet.account)
    group = f"/ssm/{uuid4().hex}"
    logs.create_log_group(logGroupName=group)
    events.put_rule(Name="ssm-told", EventPattern=json.dumps({"source": ["aws.ssm"]}))
    target = {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{fleet.account}:log-group:{group}"}
    events.put_targets(Rule="ssm-told", Targets=[target])
    command = fleet.run(commands=["exit 3"])
    fleet.over(command)

    def told() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in log_lines(fleet.server, fleet.account, group)]
        return [one for one in found if one["detail"]["command-id"] == command]

    eventually(lambda: len(told()) == 4, "four events")
    seen = [(one["detail-type"], one["detail"]["status"]) for one in told()]
    kind, of_one = "EC2 Command Status-change Notification", "EC2 Command Invocation Status-change Notification"
    assert sorted(seen) == sorted([(kind, "InProgress"), (kind, "Failed"), (of_one, "InProgress"), (of_one, "Failed")])
    [last] = [one for one in told() if one["detail-type"] == kind and one["detail"]["status"] == "Failed"]
    assert last["resources"] == [f"arn:aws:ec2:{REGION}:{fleet.account}:instance/{fleet.nodes[0]}"]
    assert set(last["detail"]) == {
        *("command-id", "document-name", "expire-after", "parameters", "requested-date-time", "status")
    }
    [one] = [one for one in told() if one["detail-type"] == of_one and one["detail"]["status"] == "Failed"]
    assert set(one["detail"]) == {"command-id", "document-name", "instance-id", "requested-date-time", "status"}
    events.remove_targets(Rule="ssm-told", Ids=["log"])
    events.delete_rule(Name="ssm-told")


def test_put_targets_refuses_what_could_never_run(ruling: Ruling, fleet: Fleet) -> None:
    def refused(target: dict[str, Any]) -> tuple[str, str]:
        found = refusal(ruling.events.put_targets, Rule=ruling.name, Targets=[target])
        return found.code, found.message

    bare = aimed()
    del bare["RunCommandParameters"]
    assert refused(bare)[1] == "Parameter(s) RunCommandParameters must be specified for target: command."
    no_path = {"RunCommandTargets": [{"Key": "event", "Values": ["detail.InstanceId"]}]}
    assert "no JSONPath" in refused({**aimed(), "RunCommandParameters": no_path})[1]
    elsewhere = f"arn:aws:ssm:{REGION}:999999999999:document/Mine"
    assert refused(aimed(elsewhere))[0] == "ValidationException"


def test_explain_names_a_document_that_is_missing(ruling: Ruling, fleet: Fleet) -> None:
    ruling.aim(f"arn:aws:ssm:{REGION}:{fleet.account}:document/Not-There")
    ruling.happen()
    place = {"AWS_ACCESS_KEY_ID": fleet.account, "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": REGION}
    told = tocsin("rule", "explain", ruling.name, "--endpoint-url", fleet.server.endpoint, environment=place)
    assert "The document Not-There of target command does not exist" in told.stdout, told.stderr


LOOK = """
i=0; while [ $i -lt 20 ]; do echo "look $i"; sleep 0.1; i=$((i+1)); done
echo "looked, booted $(cat $TOCSIN_NODE_DIR/boots 2>/dev/null)"
"""


class Looking(NamedTuple):
    """A cluster with automatic recovery, and a rule that runs a document of its own on whichever node turns sick."""

    bay: Sickbay
    fleet: Fleet
    node: str


@contextlib.contextmanager
def looking(folder: Path, script: str, toml: str = "", *options: str) -> Iterator[Looking]:
    account = "111122223333"
    with configured(folder, toml, *options) as server:
        bay = Sickbay(server, account, 1, "Automatic")
        [node] = bay.nodes
        fleet = Fleet(server, account, server.client("ssm", account), "", [node])
        step = {"action": "aws:runShellScript", "name": "look", "inputs": {"runCommand": [script]}}
        content = json.dumps({"schemaVersion": "2.2", "mainSteps": [step]})
        fleet.ssm.create_document(Name="Look", Content=content, DocumentType="Command", DocumentFormat="JSON")
        events = server.client("events", account)
        pattern = {"source": ["aws.sagemaker"], "detail": {"HealthSummary": {"HealthStatus": ["Unhealthy"]}}}
        events.put_rule(Name="look", EventPattern=json.dumps(pattern))
        target = aimed(f"arn:aws:ssm:{REGION}:{account}:document/Look")
        assert events.put_targets(Rule="look", Targets=[target])["FailedEntries"] == []
        yield Looking(bay, fleet, node)


def test_a_rules_command_looks_at_the_sick_node_before_it_is_rebooted(tmp_path: Path) -> None:
    """Without any setting: the reboot waits for the command that the event of the fault led to."""
    with looking(tmp_path, LOOK) as (bay, fleet, node):
        bay.kernel_says(node, XID.format(code=79))
        [command] = eventually(lambda: fleet.ssm.list_commands()["Commands"], "the command of the rule")
        found = fleet.ended(command["CommandId"], node)
        assert (found["Status"], "looked" in found["StandardOutputContent"]) == ("Success", True), found
        told = bay.summaries(2)
        assert [(one["HealthStatus"], one["RepairAction"]) for one in told] == [
            ("Unhealthy", "Reboot"),
            ("Healthy", "None"),
        ]
        assert bay.nodes == {node: "Running"}
        assert len(fleet.ssm.list_commands()["Commands"]) == 1


def test_a_command_that_hangs_does_not_keep_its_node_sick(tmp_path: Path) -> None:
    with looking(tmp_path, "echo begun; sleep 600", "[health]\ncommands_wait_max_s = 1\n") as (bay, fleet, node):
        bay.kernel_says(node, XID.format(code=79))
        assert [one["HealthStatus"] for one in bay.summaries(2)] == ["Unhealthy", "Healthy"]
        [command] = fleet.ssm.list_commands()["Commands"]
        assert fleet.ended(command["CommandId"], node)["Status"] == "Failed"


def test_a_repair_goes_on_after_a_kill_of_the_server_while_the_command_looks(tmp_path: Path) -> None:
    gate, port = tmp_path / "gate", str(free_port())
    with looking(
        tmp_path, f"echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo looked", "", "--port", port
    ) as (bay, fleet, node):
        bay.kernel_says(node, XID.format(code=79))
        [command] = eventually(lambda: fleet.ssm.list_commands()["Commands"], "the command of the rule")
        fleet.until(command["CommandId"], lambda found: "begun" in found["StandardOutputContent"], node)
        server = bay.server
        server.kill()
        again = RunningServer(server.data_dir, "--config", str(tmp_path / "tocsin.toml"), "--port", port)
        try:
            ssm = again.client("ssm")
            gate.touch()
            fleet = fleet._replace(server=again, ssm=ssm)
            found = fleet.ended(command["CommandId"], node)
            assert (found["Status"], "looked" in found["StandardOutputContent"]) == ("Success", True), found
            bay.server, bay.api = again, again.client("sagemaker")
            assert [one["HealthStatus"] for one in bay.summaries(2)] == ["Unhealthy", "Healthy"]
        finally:
            again.stop()
