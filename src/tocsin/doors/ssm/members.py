"""Records of Run Command -> AWS's members."""

from collections.abc import Mapping
from typing import Any

from tocsin.core.commands.hearing import NO_CODE, object_url
from tocsin.model.command import Command, Counts, Invocation, Status, StepOutput, StepRun
from tocsin.model.link import CommandStep

OUTPUT_CHARS_MAX = 2500  # of a plugin in ListCommandInvocations
ERRORS_BELOW = "\n----------ERROR-------\n"
# Members of the request that are told back as they came.
_ECHOED = (
    *("Comment", "InstanceIds", "Targets", "Parameters", "OutputS3Region", "OutputS3BucketName"),
    *("OutputS3KeyPrefix", "NotificationConfig", "CloudWatchOutputConfig"),
)


def command_members(command: Command, counts: Counts) -> dict[str, Any]:
    request = command.request
    return {
        **{name: request[name] for name in _ECHOED if name in request},
        "Comment": request.get("Comment", ""),
        "Parameters": request.get("Parameters") or {},
        "InstanceIds": request.get("InstanceIds") or [],
        "Targets": request.get("Targets") or [],
        "OutputS3BucketName": request.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": request.get("OutputS3KeyPrefix", ""),
        "CommandId": command.id,
        "DocumentName": command.document,
        "DocumentVersion": command.document_version,
        "ExpiresAfter": command.expires_ms / 1000,
        "RequestedDateTime": command.requested_ms / 1000,
        "Status": command.status,
        "StatusDetails": command.details,
        "MaxConcurrency": request.get("MaxConcurrency", "50"),
        "MaxErrors": request.get("MaxErrors", "0"),
        "TargetCount": command.targets,
        "CompletedCount": counts.completed,
        "ErrorCount": counts.errors,
        "DeliveryTimedOutCount": counts.undelivered,
        "ServiceRole": request.get("ServiceRoleArn", ""),
        "TimeoutSeconds": command.deliver_within_s,
    }


def invocation_members(
    command: Command, invocation: Invocation, outputs: Mapping[str, StepOutput] | None
) -> dict[str, Any]:
    """`outputs` by step; None where plugins are not asked for."""
    members: dict[str, Any] = {
        "CommandId": command.id,
        "InstanceId": invocation.named,
        "InstanceName": invocation.instance_name,
        "Comment": command.request.get("Comment", ""),
        "DocumentName": command.document,
        "DocumentVersion": command.document_version,
        "RequestedDateTime": invocation.requested_ms / 1000,
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "TraceOutput": invocation.reason[:OUTPUT_CHARS_MAX],
        "StandardOutputUrl": _only_url(command, invocation, "stdout"),
        "StandardErrorUrl": _only_url(command, invocation, "stderr"),
        "CommandPlugins": [],
        "ServiceRole": command.request.get("ServiceRoleArn", ""),
        "NotificationConfig": command.request.get("NotificationConfig"),
        "CloudWatchOutputConfig": command.request.get("CloudWatchOutputConfig")
        or {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
    }
    if outputs is not None:
        members["CommandPlugins"] = [
            _plugin(command, invocation, step, outputs.get(step.name)) for step in command.steps
        ]
    return members


def _plugin(command: Command, invocation: Invocation, step: CommandStep, output: StepOutput | None) -> dict[str, Any]:
    run = run_of(invocation, step)
    return {
        "Name": step.name,
        "Status": _plugin_status(run.status),
        "StatusDetails": run.details,
        "ResponseCode": run.code,
        "ResponseStartDateTime": run.started_ms / 1000 if run.started_ms else None,
        "ResponseFinishDateTime": run.ended_ms / 1000 if run.ended_ms else None,
        "Output": _both(output),
        "StandardOutputUrl": object_url(command, invocation.instance_id, step, "stdout"),
        "StandardErrorUrl": object_url(command, invocation.instance_id, step, "stderr"),
        "OutputS3Region": command.scope.region,
        "OutputS3BucketName": command.request.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": command.request.get("OutputS3KeyPrefix", ""),
    }


def _only_url(command: Command, invocation: Invocation, stream: str) -> str:
    """ "populated if there is just one plugin defined for the command" (botocore's model)."""
    return object_url(command, invocation.instance_id, command.steps[0], stream) if len(command.steps) == 1 else ""


def run_of(invocation: Invocation, step: CommandStep) -> StepRun:
    """What became of the step; as long as nothing is told of it, what is known of the whole."""
    for run in invocation.steps:
        if run.step == step.name:
            return run
    return StepRun(
        step=step.name,
        status=invocation.status,
        details=invocation.details,
        code=NO_CODE,
        started_ms=invocation.started_ms,
        ended_ms=invocation.ended_ms if invocation.started_ms else 0,
    )


def _plugin_status(status: Status) -> Status:
    """Plugins are never Delayed nor Cancelling in AWS's model."""
    return {Status.DELAYED: Status.PENDING, Status.CANCELLING: Status.IN_PROGRESS}.get(status, status)


def _both(output: StepOutput | None) -> str:
    if output is None:
        return ""
    text = output.stdout + (f"{ERRORS_BELOW}{output.stderr}" if output.stderr else "")
    return text[:OUTPUT_CHARS_MAX]
