"""An extension's script as a command of Run Command, and what its end on a node says.

The script runs as it is, by its own first line; its configuration comes in the environment.
"""

import base64
import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.core.extensions.settings import whole
from tocsin.model.command import Details, Invocation, Status
from tocsin.model.extension import Extension, ExtensionNode, NodeState, Work
from tocsin.model.records import successor

DOCUMENT = "AWS-RunShellScript"
# "ExtensionHealthIssueMessage: max 1024" (botocore).
MESSAGE_CHARS_MAX = 1_024
# Exit codes of sysexits.h -> AWS's codes. A script that uses them says what to look at.
CODES: Mapping[int, str] = {
    78: "InvalidConfiguration",
    73: "ConfigurationConflict",
    77: "AccessDenied",
    66: "ResourceNotFound",
    69: "DependencyUnreachable",
    70: "InternalFailure",
}
FAILED, LOST = "ExtensionUnhealthy", "InternalFailure"
# The node was not reached: that says nothing of the extension, and it is ordered again.
NOT_REACHED = frozenset({Details.DELIVERY_TIMED_OUT, Details.UNDELIVERABLE, Details.TERMINATED})


def configuration(extension: Extension) -> str:
    return json.dumps(whole(extension.package.defaults, extension.settings), sort_keys=True)


def script_of(extension: Extension) -> str:
    return extension.package.remove if extension.work is Work.DELETE else extension.package.install


def request(extension: Extension, instance_ids: Iterable[str], log_group: str) -> dict[str, Any]:
    """SendCommand's members. A failure on one node keeps no other from its turn."""
    what = "remove" if extension.work is Work.DELETE else "install"
    return {
        "DocumentName": DOCUMENT,
        "InstanceIds": list(instance_ids),
        "Parameters": {"commands": _lines(extension)},
        "Comment": f"{what} extension {extension.name} {extension.package.version}"[:100],
        "MaxErrors": "100%",
        "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": log_group},
    }


def environment(extension: Extension) -> dict[str, str]:
    """What each of its scripts finds."""
    return {
        "EXTENSION_NAME": extension.name,
        "EXTENSION_VERSION": extension.package.version,
        "EXTENSION_CONFIGURATION": configuration(extension),
    }


def _lines(extension: Extension) -> list[str]:
    packed = base64.b64encode(script_of(extension).encode()).decode()
    return [
        "set -eu",
        "folder=$(mktemp -d)",
        "trap 'rm -rf \"$folder\"' EXIT",
        f'echo {packed} | base64 -d > "$folder/script"',
        'chmod 700 "$folder/script"',
        *(f"export {name}={shlex.quote(value)}" for name, value in environment(extension).items()),
        '"$folder/script"',
    ]


def ended(record: ExtensionNode, invocation: Invocation, said: str) -> ExtensionNode | None:
    """The record once its command is over; None: it is ordered again. `said` is what the script wrote of errors."""
    if invocation.details in NOT_REACHED:
        return None
    if invocation.status is Status.SUCCESS:
        return successor(record, state=NodeState.ACTIVE, code="", message="")
    number = invocation.steps[-1].code if invocation.steps else 0
    code, message = told(number, said, invocation.reason, FAILED if invocation.steps else LOST)
    return successor(record, state=NodeState.FAILED, code=code, message=message)


def told(exit_code: int, said: str, reason: str = "", fallback: str = FAILED) -> tuple[str, str]:
    """Code and message of a script that did not end well: the last line it wrote to stderr, else the reason."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    message = (lines[-1] if lines else "") or reason or f"The script ended with exit code {exit_code}."
    return CODES.get(exit_code, fallback), message[:MESSAGE_CHARS_MAX]
