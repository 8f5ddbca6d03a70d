"""SendCommand and what one asks about it, through unmodified boto3 and the AWS CLI, on real nodes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.commands.conftest import Fleet
from tests.doors.asking import log_lines, refusal
from tests.harness import RunningServer
from tests.processes import wait_gone


def test_a_command_runs_on_the_node_and_its_output_comes_back_exactly(fleet: Fleet) -> None:
    command = fleet.run(commands=["printf 'no line end'", "echo wrong >&2", "echo $TOCSIN_INSTANCE_ID >&2"])
    found = fleet.ended(command)
    assert found["Status"] == found["StatusDetails"] == "Success"
    assert found["ResponseCode"] == 0
    assert found["StandardOutputContent"] == "no line end"
    assert found["StandardErrorContent"] == f"wrong\n{fleet.nodes[0]}\n"
    assert found["PluginName"] == "aws:runShellScript"
    assert found["ExecutionElapsedTime"].startswith("PT")


def test_the_answer_of_send_command_is_the_request_as_it_was_received(fleet: Fleet) -> None:
    sent = fleet.ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=fleet.nodes,
        Parameters={"commands": ["true"]},
        Comment="a look",
        TimeoutSeconds=600,
        MaxConcurrency="50%",
        MaxErrors="1",
    )["Command"]
    assert sent["Status"] == sent["StatusDetails"] == "Pending"
    assert sent["InstanceIds"] == fleet.nodes
    assert (sent["Comment"], sent["MaxConcurrency"], sent["MaxErrors"]) == ("a look", "50%", "1")
    assert sent["DocumentVersion"] == "$DEFAULT"
    assert sent["TargetCount"] == 2
    assert sent["ExpiresAfter"] - sent["RequestedDateTime"] == timedelta(seconds=600 + 3600)
    ended = fleet.over(sent["CommandId"])
    assert (ended["Status"], ended["CompletedCount"], ended["ErrorCount"]) == ("Success", 2, 0)


def test_a_failed_script_tells_its_code_and_fails_the_command(fleet: Fleet) -> None:
    command = fleet.run(commands=["exit 7"])
    found = fleet.ended(command)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Failed", 7)
    assert fleet.over(command)["StatusDetails"] == "Failed"


def test_a_first_line_says_what_runs_the_script(fleet: Fleet) -> None:
    command = fleet.run(commands=["#!/usr/bin/env python3", "print(6 * 7)"])
    assert fleet.ended(command)["StandardOutputContent"] == "42\n"


def test_python_runs_as_python(fleet: Fleet) -> None:
    command = fleet.run("AWS-RunPythonScript", commands=["import sys", "print(sys.version_info >= (3,))"])
    assert fleet.ended(command)["StandardOutputContent"] == "True\n"


def test_the_working_directory_is_as_asked(fleet: Fleet, tmp_path: Path) -> None:
    command = fleet.run(commands=["pwd"], Parameters={"workingDirectory": [str(tmp_path)]})
    assert fleet.ended(command)["StandardOutputContent"] == f"{tmp_path}\n"


def test_a_working_directory_that_is_not_there_is_told(fleet: Fleet) -> None:
    command = fleet.run(commands=["pwd"], Parameters={"workingDirectory": ["/nowhere"]})
    found = fleet.ended(command)
    assert found["Status"] == "Failed"
    assert "the working directory /nowhere is not there" in found["StandardErrorContent"]


def test_what_takes_too_long_is_ended_with_all_it_started(fleet: Fleet, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = fleet.run(commands=[f"sleep 600 & echo $! > {pid_file}", "wait"], Parameters={"executionTimeout": ["3"]})
    found = fleet.ended(command)
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    wait_gone(int(pid_file.read_text()))
    assert fleet.over(command)["StatusDetails"] == "ExecutionTimedOut"


def test_why_it_ended_is_told_however_much_it_said(fleet: Fleet) -> None:
    command = fleet.run(commands=["seq 1 5000 >&2; sleep 600"], Parameters={"executionTimeout": ["3"]})
    told = fleet.ended(command)["StandardErrorContent"]
    assert len(told) == 8_000
    assert told.endswith("did not end within 3 s and its process group was ended.\n")


def test_cancel_ends_the_process_group(fleet: Fleet, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = fleet.run(commands=[f"sleep 600 & echo $! > {pid_file}", "echo begun", "wait"])
    fleet.until(command, lambda found: "begun" in found["StandardOutputContent"])
    fleet.ssm.cancel_command(CommandId=command)
    found = fleet.ended(command)
    assert (found["Status"], found["StatusDetails"]) == ("Cancelled", "Cancelled")
    wait_gone(int(pid_file.read_text()))
    assert fleet.over(command)["Status"] == "Cancelled"
    fleet.ssm.cancel_command(CommandId=command)  # what is over stays as it is
    assert fleet.over(command)["Status"] == "Cancelled"


def test_one_node_of_several_can_be_cancelled(fleet: Fleet) -> None:
    command = fleet.run(commands=['[ "$TOCSIN_INSTANCE_ID" = "$(cat /dev/null)" ] || sleep 2'], InstanceIds=fleet.nodes)
    fleet.ssm.cancel_command(CommandId=command, InstanceIds=[fleet.nodes[0]])
    assert fleet.ended(command, fleet.nodes[0])["Status"] == "Cancelled"
    assert fleet.ended(command, fleet.nodes[1])["Status"] == "Success"
    assert fleet.over(command)["StatusDetails"] == "Incomplete"


def test_output_is_there_while_the_command_runs(fleet: Fleet, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    command = fleet.run(commands=["echo first", f"while [ ! -e {gate} ]; do sleep 0.05; done", "echo last"])
    found = fleet.until(command, lambda found: found["StandardOutputContent"])
    assert (found["Status"], found["StandardOutputContent"]) == ("InProgress", "first\n")
    gate.touch()
    assert fleet.ended(command)["StandardOutputContent"] == "first\nlast\n"


def test_the_head_of_long_output_is_kept_and_all_of_it_logged(fleet: Fleet) -> None:
    command = fleet.run(
        commands=["seq 1 20000", "seq 1 4000 >&2"],
        CloudWatchOutputConfig={"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": "/long"},
    )
    found = fleet.ended(command)
    assert len(found["StandardOutputContent"]) == 24_000
    assert len(found["StandardErrorContent"]) == 8_000
    assert found["StandardOutputContent"].startswith("1\n2\n3\n")
    assert found["StandardOutputContent"].endswith("--output truncated--")
    assert len(log_lines(fleet.server, fleet.account, "/long")) == 24_000
    logs = fleet.server.client("logs", fleet.account)
    streams = [one["logStreamName"] for one in logs.describe_log_streams(logGroupName="/long")["logStreams"]]
    place = f"{command}/{fleet.nodes[0]}/aws-runShellScript"
    assert streams == [f"{place}/stderr", f"{place}/stdout"]


def test_a_log_group_is_named_after_the_document_unless_it_is_named(fleet: Fleet) -> None:
    command = fleet.run(commands=["echo logged"], CloudWatchOutputConfig={"CloudWatchOutputEnabled": True})
    fleet.ended(command)
    assert "logged" in log_lines(fleet.server, fleet.account, "/aws/ssm/AWS-RunShellScript")


def test_nodes_are_named_in_the_form_of_hyperpod_too(fleet: Fleet) -> None:
    target = f"sagemaker-cluster:{fleet.cluster_id}_workers-{fleet.nodes[0]}"
    command = fleet.run(commands=["echo here"], InstanceIds=[target])
    assert fleet.ended(command, target)["StandardOutputContent"] == "here\n"
    [invocation] = fleet.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
    assert invocation["InstanceId"] == target
    assert fleet.ended(command)["Status"] == "Success"


@pytest.mark.parametrize(
    "target",
    [
        {"Key": "tag:team", "Values": ["audio", "vision"]},
        {"Key": "tag:tocsin:cluster", "Values": ["lab"]},
        {"Key": "tag:tocsin:instance-group", "Values": ["workers"]},
        {"Key": "tag-key", "Values": ["team"]},
        {"Key": "InstanceIds", "Values": ["*"]},
    ],
)
def test_targets_find_the_nodes(fleet: Fleet, target: dict[str, object]) -> None:
    command = fleet.run(commands=["true"], Targets=[target])
    assert fleet.over(command)["CompletedCount"] == 2


def test_targets_that_no_node_fits_are_no_error(fleet: Fleet) -> None:
    command = fleet.run(commands=["true"], Targets=[{"Key": "tag:team", "Values": ["audio"]}])
    found = fleet.over(command)
    assert (found["Status"], found["StatusDetails"], found["TargetCount"]) == ("Success", "NoInstancesInTag", 0)


def test_too_many_errors_keep_the_others_from_running(fleet: Fleet) -> None:
    command = fleet.run(commands=["exit 1"], InstanceIds=fleet.nodes, MaxConcurrency="1")
    found = fleet.over(command)
    assert (found["Status"], found["ErrorCount"], found["CompletedCount"]) == ("Failed", 1, 2)
    invocations = fleet.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
    assert sorted(one["StatusDetails"] for one in invocations) == ["Failed", "Terminated"]


def test_errors_within_the_limit_leave_the_command_incomplete(fleet: Fleet) -> None:
    command = fleet.run(
        commands=[f'[ "$TOCSIN_INSTANCE_ID" = {fleet.nodes[0]} ]'], InstanceIds=fleet.nodes, MaxErrors="50%"
    )
    found = fleet.over(command)
    assert (found["Status"], found["StatusDetails"], found["ErrorCount"]) == ("Failed", "Incomplete", 1)


def test_listings_are_newest_first_paged_and_filtered(fleet: Fleet) -> None:
    since = datetime.now(UTC)
    commands = [fleet.run(commands=["echo one"], Comment="listed") for _ in range(3)]
    for command in commands:
        fleet.over(command)
    after = [{"key": "InvokedAfter", "value": since.isoformat()}]
    pages = fleet.ssm.get_paginator("list_commands").paginate(Filters=after, PaginationConfig={"PageSize": 2})
    assert [one["CommandId"] for page in pages for one in page["Commands"]] == sorted(commands, reverse=True)
    filters = [*after, {"key": "Status", "value": "Failed"}]
    assert fleet.ssm.list_commands(Filters=filters)["Commands"] == []
    filters = [
        *after,
        {"key": "ExecutionStage", "value": "Complete"},
        {"key": "DocumentName", "value": "AWS-RunShellScript"},
    ]
    assert len(fleet.ssm.list_commands(Filters=filters, InstanceId=fleet.nodes[0])["Commands"]) == 3
    assert fleet.ssm.list_commands(Filters=filters, InstanceId=fleet.nodes[1])["Commands"] == []
    found = fleet.ssm.list_command_invocations(Filters=after, InstanceId=fleet.nodes[0], Details=True)
    assert len(found["CommandInvocations"]) == 3
    [plugin] = found["CommandInvocations"][0]["CommandPlugins"]
    assert (plugin["Name"], plugin["Status"], plugin["Output"]) == ("aws:runShellScript", "Success", "one\n")


def test_instance_information_tells_the_nodes(fleet: Fleet) -> None:
    found = fleet.ssm.describe_instance_information(Filters=[{"Key": "PingStatus", "Values": ["Online"]}])
    assert [one["InstanceId"] for one in found["InstanceInformationList"]] == fleet.nodes
    one = found["InstanceInformationList"][0]
    assert (one["PlatformType"], one["ResourceType"], one["Name"][:8]) == ("Linux", "EC2Instance", "workers-")
    assert one["ComputerName"].endswith(".compute.internal")
    by_id = [{"key": "InstanceIds", "valueSet": [fleet.nodes[1]]}]
    [one] = fleet.ssm.describe_instance_information(InstanceInformationFilterList=by_id)["InstanceInformationList"]
    assert one["InstanceId"] == fleet.nodes[1]
    tagged = [{"Key": "tag:team", "Values": ["audio"]}]
    assert fleet.ssm.describe_instance_information(Filters=tagged)["InstanceInformationList"] == []


def test_send_command_refuses_in_aws_codes(fleet: Fleet) -> None:
    send = fleet.ssm.send_command
    good = {"DocumentName": "AWS-RunShellScript", "InstanceIds": fleet.nodes, "Parameters": {"commands": ["true"]}}
    stranger = "i-0123456789abcdef0"

    def refused(**change: object) -> tuple[str, str]:
        found = refusal(send, **{name: value for name, value in {**good, **change}.items() if value is not None})
        return found.code, found.message

    assert refused(InstanceIds=[stranger]) == (
        "InvalidInstanceId",
        f"Instances [[{stranger}]] not in a valid state for account {fleet.account}",
    )
    assert refused(InstanceIds=fleet.nodes[:1] * 2)[0] == "DuplicateInstanceId"
    assert refused(InstanceIds=None)[0] == "InvalidInstanceId"
    assert refused(InstanceIds=["web-1"])[0] == "ValidationException"
    assert refused(DocumentName="No-Such")[0] == "InvalidDocument"
    assert refused(DocumentVersion="9")[0] == "InvalidDocumentVersion"
    assert refused(Parameters={})[0] == "InvalidParameters"
    assert refused(Parameters={"commands": ["true"], "comands": ["true"]})[0] == "InvalidParameters"
    assert refused(Parameters={"commands": ["true"], "executionTimeout": ["0"]})[0] == "InvalidParameters"
    assert refused(MaxConcurrency="0")[0] == "ValidationException"
    assert (
        refused(InstanceIds=None, Targets=[{"Key": "resource-groups:Name", "Values": ["x"]}])[0] == "InvalidParameters"
    )
    assert refused(AlarmConfiguration={"Alarms": [{"Name": "x"}]})[0] == "NotImplemented"


def test_questions_about_what_is_not_there_are_refused(fleet: Fleet) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    get = fleet.ssm.get_command_invocation
    assert refusal(get, CommandId=nobody, InstanceId=fleet.nodes[0]).code == "InvocationDoesNotExist"
    assert refusal(get, CommandId="x" * 36, InstanceId=fleet.nodes[0]).code == "InvalidCommandId"
    command = fleet.run(commands=["true"])
    assert refusal(get, CommandId=command, InstanceId=fleet.nodes[1]).code == "InvocationDoesNotExist"
    assert refusal(get, CommandId=command, InstanceId=fleet.nodes[0], PluginName="other").code == "InvalidPluginName"
    assert refusal(fleet.ssm.cancel_command, CommandId=nobody).code == "InvalidCommandId"
    assert refusal(fleet.ssm.list_commands, NextToken="x").code == "InvalidNextToken"
    stage = [{"key": "ExecutionStage", "value": "Complete"}]
    assert refusal(fleet.ssm.list_command_invocations, Filters=stage).code == "InvalidFilterKey"
    unknown = [{"Key": "Colour", "Values": ["red"]}]
    assert refusal(fleet.ssm.describe_instance_information, Filters=unknown).code == "InvalidFilterKey"


def test_other_accounts_see_none_of_it(fleet: Fleet, server: RunningServer, account: str) -> None:
    command = fleet.run(commands=["true"])
    other = server.client("ssm", account)
    assert other.list_commands()["Commands"] == []
    assert other.describe_instance_information()["InstanceInformationList"] == []
    send = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}, "InstanceIds": fleet.nodes}
    assert refusal(other.send_command, **send).code == "InvalidInstanceId"
    assert refusal(other.cancel_command, CommandId=command).code == "InvalidCommandId"


def test_the_aws_cli_sends_waits_and_reads(fleet: Fleet) -> None:
    cli = fleet.server.cli
    sent = cli(
        *("ssm", "send-command", "--document-name", "AWS-RunShellScript", "--instance-ids", fleet.nodes[0]),
        *("--parameters", 'commands=["echo from the CLI"]', "--query", "Command.CommandId", "--output", "text"),
        account=fleet.account,
    )
    assert sent.returncode == 0, sent.stderr
    where = ("--command-id", sent.stdout.strip(), "--instance-id", fleet.nodes[0])
    waited = cli("ssm", "wait", "command-executed", *where, account=fleet.account)
    assert waited.returncode == 0, waited.stderr
    told = cli("ssm", "get-command-invocation", *where, account=fleet.account)
    assert json.loads(told.stdout)["StandardOutputContent"] == "from the CLI\n"


@pytest.mark.parametrize(
    ("config", "statuses"),
    [
        ({}, ["InProgress", "Failed"]),
        ({"NotificationType": "Invocation"}, ["InProgress", "Failed"]),
        ({"NotificationEvents": ["Success", "Failed"]}, ["Failed"]),
    ],
)
def test_a_topic_is_told_what_was_asked_for(fleet: Fleet, config: dict[str, object], statuses: list[str]) -> None:
    name = f"told-{uuid4().hex[:8]}"
    sns, sqs = fleet.server.client("sns", fleet.account), fleet.server.client("sqs", fleet.account)
    topic, queue = sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"]
    where = topic.replace(":sns:", ":sqs:")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=where, Attributes={"RawMessageDelivery": "true"})
    command = fleet.run(commands=["exit 1"], NotificationConfig={"NotificationArn": topic, **config})
    fleet.over(command)
    told: list[dict[str, object]] = []
    while len(told) < len(statuses):
        for one in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", ()):
            told.append(json.loads(one["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    assert sorted(str(one["status"]) for one in told) == sorted(statuses)
    assert all(one["commandId"] == command for one in told)
    assert all(("instanceId" in one) == (config.get("NotificationType") == "Invocation") for one in told)


def test_a_topic_that_is_not_there_cannot_be_told(fleet: Fleet) -> None:
    nobody = {"NotificationArn": f"arn:aws:sns:us-west-2:{fleet.account}:nobody"}
    send = {"DocumentName": "AWS-RunShellScript", "InstanceIds": fleet.nodes, "Parameters": {"commands": ["true"]}}
    assert refusal(fleet.ssm.send_command, **send, NotificationConfig=nobody).code == "InvalidNotificationConfig"


def test_output_goes_into_a_bucket_that_is_a_folder(fleet: Fleet) -> None:
    (fleet.server.s3 / "command-output").mkdir(parents=True, exist_ok=True)
    bucket = {"OutputS3BucketName": "command-output", "OutputS3KeyPrefix": "runs/today"}
    command = fleet.run(commands=["seq 1 5000", "printf oops >&2"], **bucket)
    found = fleet.ended(command)
    place = f"runs/today/{command}/{fleet.nodes[0]}/awsrunShellScript/0.awsrunShellScript"
    assert found["StandardOutputUrl"] == f"https://s3.us-west-2.amazonaws.com/command-output/{place}/stdout"
    folder = fleet.server.s3 / "command-output" / place
    assert (folder / "stdout").read_text() == "".join(f"{number + 1}\n" for number in range(5000))
    assert (folder / "stderr").read_text() == "oops"


def test_a_bucket_that_is_not_there_is_told_and_hinders_nothing(fleet: Fleet) -> None:
    for _ in range(2):
        command = fleet.run(commands=["echo fine"], OutputS3BucketName="not-a-folder")
        found = fleet.ended(command)
        assert (found["StandardOutputContent"], found["StandardOutputUrl"]) == ("fine\n", "")
    assert fleet.server.errors.read_text().count("bucket not-a-folder is no folder here") == 1
    send = {"DocumentName": "AWS-RunShellScript", "InstanceIds": fleet.nodes, "Parameters": {"commands": ["true"]}}
    out = {"OutputS3BucketName": "not-a-folder", "OutputS3KeyPrefix": "../../etc"}
    assert refusal(fleet.ssm.send_command, **send, **out).code == "InvalidOutputFolder"
