"""Documents through unmodified boto3 and the AWS CLI: made, versioned, read, used, refused."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.commands.conftest import Fleet
from tests.doors.asking import refusal
from tests.harness import RunningServer

BUILT_IN = [
    *("AWS-RunPythonScript", "AWS-RunShellScript"),
    *("Tocsin-CollectDiagnostics", "Tocsin-DrainNode", "Tocsin-RestartDaemon"),
]
YAML = """
schemaVersion: "2.2"
description: Greets
parameters:
  name: {type: String, allowedPattern: "^[A-Za-z]+$", default: world}
  words: {type: StringList, default: [one, two]}
mainSteps:
  - action: aws:runShellScript
    name: greet
    inputs:
      runCommand:
        - "echo 'hello {{ name }}'"
        - "echo '{{words}}'"
"""


def content(*lines: str, **more: Any) -> str:
    steps = [{"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": list(lines), **more}}]
    return json.dumps({"schemaVersion": "2.2", "description": "A test", "mainSteps": steps})


@pytest.fixture
def ssm(server: RunningServer, account: str) -> Any:
    return server.client("ssm", account)


def test_a_document_is_made_described_and_read_back_as_it_was(ssm: Any, account: str) -> None:
    text = content("true")
    made = ssm.create_document(Name="Mine", Content=text, DocumentType="Command", VersionName="first")
    told = made["DocumentDescription"]
    assert (told["Name"], told["Owner"], told["Status"]) == ("Mine", account, "Active")
    assert (told["DocumentVersion"], told["LatestVersion"], told["DefaultVersion"]) == ("1", "1", "1")
    assert (told["SchemaVersion"], told["DocumentFormat"], told["DocumentType"]) == ("2.2", "JSON", "Command")
    assert told["PlatformTypes"] == ["Linux", "MacOS"]
    assert ssm.describe_document(Name="Mine")["Document"]["Hash"] == told["Hash"]
    assert ssm.get_document(Name="Mine")["Content"] == text
    assert ssm.get_document(Name="Mine", VersionName="first")["DocumentVersion"] == "1"


def test_yaml_is_read_and_told_in_either_form(ssm: Any) -> None:
    told = ssm.create_document(Name="Greet", Content=YAML, DocumentFormat="YAML")["DocumentDescription"]
    by_name = {one["Name"]: one for one in told["Parameters"]}
    assert by_name["words"]["Type"] == "StringList"
    assert json.loads(by_name["words"]["DefaultValue"]) == ["one", "two"]
    assert ssm.get_document(Name="Greet")["Content"] == YAML
    told = json.loads(ssm.get_document(Name="Greet", DocumentFormat="JSON")["Content"])
    assert told["mainSteps"][0]["name"] == "greet"


def test_a_document_of_ones_own_runs_with_its_parameters(fleet: Fleet) -> None:
    name = f"Greet-{uuid4().hex[:8]}"
    fleet.ssm.create_document(Name=name, Content=YAML, DocumentFormat="YAML")
    command = fleet.run(name, Parameters={"name": ["there"]})
    found = fleet.ended(command)
    assert found["StandardOutputContent"] == 'hello there\n["one", "two"]\n'
    assert found["PluginName"] == "greet"
    wrong = {"DocumentName": name, "InstanceIds": fleet.nodes[:1], "Parameters": {"name": ["x'; reboot '"]}}
    refused = refusal(fleet.ssm.send_command, **wrong)
    assert (refused.code, "does not match the pattern" in refused.message) == ("InvalidParameters", True)
    fleet.ssm.delete_document(Name=name)


def test_steps_go_on_exit_and_end_as_they_say(fleet: Fleet) -> None:
    def step(name: str, script: str, **inputs: Any) -> dict[str, Any]:
        return {"action": "aws:runShellScript", "name": name, "inputs": {"runCommand": [script], **inputs}}

    other = {"StringEquals": ["platformType", "Windows"]}
    steps = [
        step("fails", "echo a; exit 3"),
        {**step("elsewhere", "echo never"), "precondition": other},
        {"action": "aws:runPowerShellScript", "name": "power", "inputs": {"runCommand": ["Get-Date"]}},
        step("stops", "echo b", onSuccess="exit"),
        step("left", "echo never"),
        step("last", "echo c", finallyStep=True),
    ]
    name = f"Steps-{uuid4().hex[:8]}"
    fleet.ssm.create_document(Name=name, Content=json.dumps({"schemaVersion": "2.2", "mainSteps": steps}))
    command = fleet.run(name)
    whole = fleet.ended(command)
    assert (whole["Status"], whole["ResponseCode"], whole["PluginName"]) == ("Failed", 3, "")
    begins = [line.partition(" ")[0] for line in whole["StandardOutputContent"].splitlines()]
    assert begins == ["a", "Step", "Step", "b", "c"]
    [invocation] = fleet.ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    plugins = {one["Name"]: (one["Status"], one["Output"]) for one in invocation["CommandPlugins"]}
    assert plugins["fails"] == ("Failed", "a\n")
    assert plugins["elsewhere"][0] == "Success"
    assert "unsatisfied preconditions" in plugins["elsewhere"][1]
    assert "incompatible platform" in plugins["power"][1]
    assert plugins["stops"] == ("Success", "b\n")
    assert plugins["left"][1] == ""
    assert plugins["last"] == ("Success", "c\n")
    assert fleet.ended(command, PluginName="last")["StandardOutputContent"] == "c\n"
    fleet.ssm.delete_document(Name=name)


def test_versions_are_added_chosen_and_removed(ssm: Any) -> None:
    ssm.create_document(Name="Versions", Content=content("echo 1"))
    told = ssm.update_document(Name="Versions", Content=content("echo 2"), DocumentVersion="$LATEST")
    assert told["DocumentDescription"]["DocumentVersion"] == "2"
    assert ssm.describe_document(Name="Versions")["Document"]["DocumentVersion"] == "1"
    assert "echo 2" in ssm.get_document(Name="Versions", DocumentVersion="$LATEST")["Content"]
    chosen = ssm.update_document_default_version(Name="Versions", DocumentVersion="2")["Description"]
    assert chosen == {"Name": "Versions", "DefaultVersion": "2"}
    assert "echo 2" in ssm.get_document(Name="Versions")["Content"]
    listed = ssm.list_document_versions(Name="Versions")["DocumentVersions"]
    assert [(one["DocumentVersion"], one["IsDefaultVersion"]) for one in listed] == [("2", True), ("1", False)]
    assert refusal(ssm.delete_document, Name="Versions", DocumentVersion="2").code == "InvalidDocumentOperation"
    ssm.delete_document(Name="Versions", DocumentVersion="1")
    assert refusal(ssm.get_document, Name="Versions", DocumentVersion="1").code == "InvalidDocumentVersion"
    ssm.delete_document(Name="Versions")
    assert refusal(ssm.get_document, Name="Versions").code == "InvalidDocument"


def test_the_built_in_documents_are_listed_and_can_be_read(ssm: Any) -> None:
    listed = ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Public"]}])["DocumentIdentifiers"]
    assert [one["Name"] for one in listed] == BUILT_IN
    for name in BUILT_IN:
        assert json.loads(ssm.get_document(Name=name)["Content"])["schemaVersion"] == "2.2"
        assert ssm.describe_document(Name=name)["Document"]["Parameters"]
        assert refusal(ssm.update_document, Name=name, Content=content("true")).code == "InvalidDocumentOperation"
        assert refusal(ssm.delete_document, Name=name).code == "InvalidDocumentOperation"


def test_documents_are_found_by_filters_page_by_page(ssm: Any) -> None:
    for number in range(3):
        ssm.create_document(Name=f"Find-{number}", Content=content("true"), Tags=[{"Key": "n", "Value": str(number)}])
    own = [{"Key": "Owner", "Values": ["Self"]}]
    pages = ssm.get_paginator("list_documents").paginate(Filters=own, PaginationConfig={"PageSize": 2})
    names = [one["Name"] for page in pages for one in page["DocumentIdentifiers"]]
    assert names == ["Find-0", "Find-1", "Find-2"]

    def found(*filters: dict[str, Any]) -> list[str]:
        return [one["Name"] for one in ssm.list_documents(Filters=list(filters))["DocumentIdentifiers"]]

    assert found({"Key": "tag:n", "Values": ["1"]}) == ["Find-1"]
    assert found({"Key": "Name", "Values": ["Find-2", "Tocsin-D"]}) == ["Find-2", "Tocsin-DrainNode"]
    assert found({"Key": "SearchKeyword", "Values": ["runshell"]}) == ["AWS-RunShellScript"]
    assert found({"Key": "DocumentType", "Values": ["Automation"]}) == []
    legacy = [{"key": "Name", "value": "Find-0"}]
    [one] = ssm.list_documents(DocumentFilterList=legacy)["DocumentIdentifiers"]
    assert (one["Name"], one["Tags"]) == ("Find-0", [{"Key": "n", "Value": "0"}])
    assert refusal(ssm.list_documents, Filters=[{"Key": "Colour", "Values": ["x"]}]).code == "InvalidFilterKey"


def test_tags_of_documents_come_and_go(ssm: Any) -> None:
    ssm.create_document(Name="Tagged", Content=content("true"), Tags=[{"Key": "a", "Value": "1"}])
    where = {"ResourceType": "Document", "ResourceId": "Tagged"}
    ssm.add_tags_to_resource(**where, Tags=[{"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(**where, TagKeys=["a"])
    assert ssm.list_tags_for_resource(**where)["TagList"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refusal(ssm.add_tags_to_resource, **where, Tags=many).code == "TooManyTagsError"
    nobody = {"ResourceType": "Document", "ResourceId": "Nobody"}
    assert refusal(ssm.list_tags_for_resource, **nobody).code == "InvalidResourceId"
    parameter = {"ResourceType": "Parameter", "ResourceId": "x"}
    assert refusal(ssm.list_tags_for_resource, **parameter).code == "InvalidResourceType"


def _changed(change: Callable[[dict[str, Any]], None]) -> str:
    document = json.loads(content("true"))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "InvalidDocumentContent"),
        ("[]", "InvalidDocumentContent"),
        (_changed(lambda one: one.update(schemaVersion="1.2")), "InvalidDocumentSchemaVersion"),
        (_changed(lambda one: one.update(mainSteps=[])), "InvalidDocumentContent"),
        (_changed(lambda one: one.update(assumeRole="x")), "InvalidDocumentContent"),
        (_changed(lambda one: one["mainSteps"][0].update(action="aws:runDocument")), "InvalidDocumentContent"),
        (_changed(lambda one: one["mainSteps"].append(one["mainSteps"][0])), "InvalidDocumentContent"),
        (_changed(lambda one: one["mainSteps"][0]["inputs"].pop("runCommand")), "InvalidDocumentContent"),
        (content("echo {{ nobody }}"), "InvalidDocumentContent"),
        (content("echo {{ssm:secret}}"), "InvalidDocumentContent"),
        (content("true", onFailure="shrug"), "InvalidDocumentContent"),
        (content("x" * 70_000), "MaxDocumentSizeExceeded"),
    ],
)
def test_content_that_could_not_run_is_refused(ssm: Any, text: str, code: str) -> None:
    assert refusal(ssm.create_document, Name="Wrong", Content=text).code == code


def test_what_is_there_or_reserved_or_unchanged_is_refused(ssm: Any) -> None:
    make = ssm.create_document
    make(Name="Once", Content=content("echo {{.Names}}"), VersionName="a")  # a template of docker's is no parameter
    assert refusal(make, Name="Once", Content=content("true")).code == "DocumentAlreadyExists"
    assert refusal(make, Name="AWS-Mine", Content=content("true")).code == "ValidationException"
    assert refusal(make, Name="Auto", Content=content("true"), DocumentType="Automation").code == "NotImplemented"
    assert (
        refusal(ssm.update_document, Name="Once", Content=content("echo {{.Names}}")).code == "DuplicateDocumentContent"
    )
    named = {"Name": "Once", "Content": content("other"), "VersionName": "a"}
    assert refusal(ssm.update_document, **named).code == "DuplicateDocumentVersionName"
    assert refusal(ssm.update_document, Name="Nobody", Content=content("true")).code == "InvalidDocument"
    assert (
        refusal(ssm.update_document_default_version, Name="Once", DocumentVersion="7").code == "InvalidDocumentVersion"
    )
    windows = [{"action": "aws:runPowerShellScript", "name": "w", "inputs": {"runCommand": ["dir"]}}]
    make(Name="Windows", Content=json.dumps({"schemaVersion": "2.2", "mainSteps": windows}))


def test_a_document_for_windows_alone_is_refused_by_send_command(fleet: Fleet) -> None:
    windows = [{"action": "aws:runPowerShellScript", "name": "w", "inputs": {"runCommand": ["dir"]}}]
    name = f"Windows-{uuid4().hex[:8]}"
    fleet.ssm.create_document(Name=name, Content=json.dumps({"schemaVersion": "2.2", "mainSteps": windows}))
    refused = refusal(fleet.ssm.send_command, DocumentName=name, InstanceIds=fleet.nodes)
    assert refused.code == "UnsupportedPlatformType"


def test_the_hash_of_a_document_is_held_against_it(fleet: Fleet) -> None:
    right = fleet.ssm.describe_document(Name="AWS-RunShellScript")["Document"]["Hash"]
    fleet.run(commands=["true"], DocumentHash=right, DocumentHashType="Sha256")
    send = {"DocumentName": "AWS-RunShellScript", "InstanceIds": fleet.nodes, "Parameters": {"commands": ["true"]}}
    assert refusal(fleet.ssm.send_command, **send, DocumentHash="0" * 64).code == "InvalidDocument"


def test_the_aws_cli_makes_a_document_and_runs_it(fleet: Fleet) -> None:
    name, cli = f"Cli-{uuid4().hex[:8]}", fleet.server.cli
    made = cli(
        *("ssm", "create-document", "--name", name, "--content", content("echo cli"), "--document-type", "Command"),
        account=fleet.account,
    )
    assert json.loads(made.stdout)["DocumentDescription"]["Name"] == name, made.stderr
    command = fleet.run(name)
    assert fleet.ended(command)["StandardOutputContent"] == "cli\n"
    gone = cli("ssm", "delete-document", "--name", name, account=fleet.account)
    assert gone.returncode == 0, gone.stderr


def test_diagnostics_say_what_is_missing_and_end_well(fleet: Fleet) -> None:
    command = fleet.run("Tocsin-CollectDiagnostics", Parameters={"lines": ["5"]})
    found = fleet.ended(command)
    assert (found["Status"], found["ResponseCode"]) == ("Success", 0)
    text = found["StandardOutputContent"]
    for title in ("kernel log", "GPUs", "memory", "disks", "mounts", "processes by CPU", "network", "summary"):
        assert f"===== {title}" in text
    assert "missing tools:" in text or "no tool was missing" in text
    logs = fleet.server.client("logs", fleet.account)
    [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/ssm/Tocsin-")["logGroups"]
    assert group["logGroupName"] == "/aws/ssm/Tocsin-CollectDiagnostics"


def test_a_daemon_is_restarted_by_its_pid_file_and_its_name_is_checked(fleet: Fleet, tmp_path: Any) -> None:
    daemon, pid_file = tmp_path / "daemon", tmp_path / "daemon.pid"
    daemon.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {pid_file}\n")
    daemon.chmod(0o755)
    given = {"daemon": ["tocsin-test"], "pidFile": [str(pid_file)], "startCommand": [str(daemon)]}
    assert fleet.ended(fleet.run("Tocsin-RestartDaemon", Parameters=given))["Status"] == "Success"
    first = pid_file.read_text()
    found = fleet.ended(fleet.run("Tocsin-RestartDaemon", Parameters=given))
    assert f"stopping process {first.strip()}" in found["StandardOutputContent"]
    assert pid_file.read_text() != first
    hostile = {
        "DocumentName": "Tocsin-RestartDaemon",
        "InstanceIds": fleet.nodes,
        "Parameters": {"daemon": ["x'; id '"]},
    }
    assert refusal(fleet.ssm.send_command, **hostile).code == "InvalidParameters"
    nowhere = fleet.ended(fleet.run("Tocsin-RestartDaemon", Parameters={"daemon": ["tocsin-nowhere"]}))
    assert (nowhere["Status"], nowhere["ResponseCode"]) == ("Failed", 69)
    assert "no way to restart tocsin-nowhere" in nowhere["StandardErrorContent"]
