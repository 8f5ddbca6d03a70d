"""An extension's health: what its nodes are asked, and what their answers make of their records."""

from msgspec.structs import replace

from tocsin.core.extensions.scripts import environment, told
from tocsin.model.extension import Extension, ExtensionNode, NodeState
from tocsin.model.link import ExtensionChecked, WatchExtension

# A health script that hangs says as much as one that fails.
TIME_LIMIT_S = 30.0

_THERE = (NodeState.ACTIVE, NodeState.UNWELL)


def asked(extension: Extension, record: ExtensionNode, every_s: float) -> WatchExtension | None:
    """What the node is asked for; None where there is nothing to ask, or not now."""
    if not extension.package.health or record.state not in _THERE or record.removing:
        return None
    return WatchExtension(
        work=record.watch_work,
        extension=extension.id,
        script=extension.package.health,
        environment=environment(extension),
        every_s=every_s,
        time_limit_s=TIME_LIMIT_S,
        well=record.state is NodeState.ACTIVE,
    )


def extension_of(work: str) -> str:
    """The id of the extension that a work asks for the health of."""
    return work.split("/")[1] if work.count("/") == 3 else ""


def heard(record: ExtensionNode | None, report: ExtensionChecked) -> ExtensionNode | None:
    """The record after the answer, the same where it makes no difference. None: nobody asks that any more."""
    if record is None or report.work != record.watch_work or record.state not in _THERE:
        return None
    if report.exit_code == 0:
        after = replace(record, state=NodeState.ACTIVE, code="", message="")
    else:
        code, message = told(report.exit_code, report.text)
        after = replace(record, state=NodeState.UNWELL, code=code, message=message)
    return record if after == record else replace(after, revision=record.revision + 1)
