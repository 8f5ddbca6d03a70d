"""`tocsin run`: SendCommand, then the output of all nodes as it comes, then how it ended.

Sugar over the AWS wire: whatever it does, boto3 and the AWS CLI can do.
"""

import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from tocsin.cli.aws import aws
from tocsin.cli.show import Where

POLL_S = 0.3
OPEN = ("Pending", "InProgress", "Delayed", "Cancelling")
SHELL = "AWS-RunShellScript"
INTERRUPTED = 130  # as a shell says it of Ctrl-C
_INSTANCE = re.compile(r"(m?i-|sagemaker-cluster:).+")


def run_on(nodes: Sequence[str], words: Sequence[str], given: Mapping[str, Any]) -> int:
    """0: every node succeeded. 1: not, or it was refused. 130: it was cancelled by Ctrl-C."""
    from botocore.exceptions import BotoCoreError, ClientError

    where: Where = {name: given.get(name) for name in ("endpoint_url", "account", "region")}
    ssm = aws(where, "ssm")
    try:
        command_id = ssm.send_command(**_request(nodes, words, given))["Command"]["CommandId"]
        click.echo(f"command {command_id}", err=True)
        try:
            return _Following(ssm, command_id).follow()
        except KeyboardInterrupt:
            ssm.cancel_command(CommandId=command_id)
            click.echo("cancelled", err=True)
            return INTERRUPTED
    except (BotoCoreError, ClientError, ValueError) as error:
        click.echo(f"tocsin: {error}", err=True)
        return 1


def _request(nodes: Sequence[str], words: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError."""
    parameters = _parameters(given["parameters"])
    if words:
        parameters["commands"] = [words[0] if len(words) == 1 else shlex.join(words)]
    if given["timeout"]:
        parameters["executionTimeout"] = [str(given["timeout"])]
    request = {
        "DocumentName": given["document"] or SHELL,
        "Parameters": parameters,
        "MaxConcurrency": given["max_concurrency"],
        "MaxErrors": given["max_errors"],
        **_targets(nodes),
    }
    return {name: value for name, value in request.items() if value is not None}


def _parameters(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator:
            raise ValueError(f"--parameter {one} reads NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _targets(nodes: Sequence[str]) -> dict[str, Any]:
    if all(_INSTANCE.fullmatch(one) for one in nodes):
        return {"Targets": [{"Key": "InstanceIds", "Values": list(nodes)}]}
    if len(nodes) > 1:
        raise ValueError("name instance ids, or one cluster, or one CLUSTER/GROUP")
    cluster, _, group = nodes[0].partition("/")
    targets = [{"Key": "tag:tocsin:cluster", "Values": [cluster]}]
    if group:
        targets.append({"Key": "tag:tocsin:instance-group", "Values": [group]})
    return {"Targets": targets}


class _Following:
    """Prints what is new, node by node. Lines bear the node's id where there are several."""

    def __init__(self, ssm: Any, command_id: str) -> None:
        self._ssm = ssm
        self._command_id = command_id
        self._shown: dict[tuple[str, str], int] = {}
        self._over: set[str] = set()
        self._bad = 0

    def follow(self) -> int:
        while True:
            [command] = self._ssm.list_commands(CommandId=self._command_id)["Commands"]
            invocations = self._invocations()
            for one in invocations:
                self._look(one, several=len(invocations) > 1)
            if command["Status"] not in OPEN and len(self._over) == len(invocations):
                return self._end(command, len(invocations))
            time.sleep(POLL_S)

    def _invocations(self) -> list[dict[str, Any]]:
        pages = self._ssm.get_paginator("list_command_invocations").paginate(CommandId=self._command_id)
        return [one for page in pages for one in page["CommandInvocations"]]

    def _look(self, one: Mapping[str, Any], *, several: bool) -> None:
        node = one["InstanceId"]
        if node in self._over or one["Status"] in ("Pending", "Delayed"):
            return
        found = self._ssm.get_command_invocation(CommandId=self._command_id, InstanceId=node)
        over = found["Status"] not in OPEN
        self._print(node, "stdout", found["StandardOutputContent"], over=over, several=several)
        self._print(node, "stderr", found["StandardErrorContent"], over=over, several=several)
        if over:
            self._over.add(node)
            if found["Status"] != "Success":
                self._bad += 1
                click.echo(f"{node}: {found['StatusDetails']} (code {found['ResponseCode']})", err=True)

    def _print(self, node: str, stream: str, text: str, *, over: bool, several: bool) -> None:
        """Whole lines of what is new; at the end, the rest."""
        begin = self._shown.get((node, stream), 0)
        end = len(text) if over else text.rfind("\n") + 1
        if end <= begin:
            return
        self._shown[node, stream] = end
        out = sys.stderr if stream == "stderr" else sys.stdout
        for line in text[begin:end].splitlines(keepends=True):
            out.write(f"{node}  {line}" if several else line)
        out.flush()

    def _end(self, command: Mapping[str, Any], count: int) -> int:
        if not count:
            click.echo("no node fits: `tocsin status` lists the nodes there are", err=True)
            return 1
        if count > 1:
            click.echo(f"{count - self._bad} of {count} nodes succeeded", err=True)
        return 0 if command["Status"] == "Success" else 1
