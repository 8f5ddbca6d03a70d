"""A document's text -> what it says. Raises the errors CreateDocument answers; called by the services.

Schema 2.2, as far as a Linux node can do it: scripts in steps, with parameters and preconditions.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from msgspec import Struct, field

from tocsin.core.commands.parameters import Parameter, parameter_of
from tocsin.model.command_errors import InvalidDocumentContent, InvalidDocumentSchemaVersion

SCHEMA_VERSIONS = ("2.2",)
# By action: what runs the script. None: not on Linux, so such a step is passed over.
ACTIONS: dict[str, str | None] = {
    "aws:runShellScript": "sh",
    "aws:runPythonScript": "python3",
    "aws:runPowerShellScript": None,
}
EXECUTION_TIMEOUT_S = 3600  # "The default is 3600 (1 hour)"
STEPS_MAX = 20  # AWS gives no number; a document is at most 64 KB
NESTING_MAX = 20
NAME = re.compile(r"[A-Za-z0-9_:.\-]{1,128}")

_MEMBERS = frozenset({"schemaVersion", "description", "parameters", "mainSteps", "$schema", "outputs"})
_STEP_MEMBERS = frozenset({"action", "name", "inputs", "precondition", "description"})
_INPUTS = frozenset({"runCommand", "workingDirectory", "timeoutSeconds", "onFailure", "onSuccess", "finallyStep"})
ON_FAILURE = {"exit": "exit", "successAndExit": "exit-well"}
ON_SUCCESS = {"exit": "exit"}


class StepSpec(Struct, frozen=True, kw_only=True):
    """A step as it is written, its inputs not yet filled in."""

    name: str
    action: str
    inputs: dict[str, Any]
    precondition: tuple[str, str] | None = None

    @property
    def interpreter(self) -> str | None:
        return ACTIONS[self.action]


class Content(Struct, frozen=True, kw_only=True):
    schema_version: str
    description: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    steps: tuple[StepSpec, ...]

    @property
    def platforms(self) -> list[str]:
        """PlatformTypes as AWS tells them."""
        can = {name for step in self.steps for name in (["Linux", "MacOS"] if step.interpreter else ["Windows"])}
        return sorted(can)


def read(text: str, form: str) -> Content:
    """Raises InvalidDocumentContent, InvalidDocumentSchemaVersion."""
    document = _READERS[form](text)
    if not isinstance(document, dict):
        raise InvalidDocumentContent("The document is no object with schemaVersion and mainSteps.")
    version = document.get("schemaVersion")
    if version not in SCHEMA_VERSIONS:
        raise InvalidDocumentSchemaVersion(
            f"Schema version {version} of a Command document is not supported here. Write it in 2.2."
        )
    _only(document, _MEMBERS, "The document")
    parameters = _object(document.get("parameters", {}), "parameters")
    return Content(
        schema_version=version,
        description=_text(document.get("description", ""), "description"),
        parameters={name: parameter_of(name, spec) for name, spec in parameters.items()},
        steps=_steps(document.get("mainSteps"), parameters),
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDocumentContent(f"The document is not valid JSON: {error}") from error


def _yaml(text: str) -> Any:
    try:
        # An alias may stand for a tree of aliases: a text of some lines that means billions.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InvalidDocumentContent("The document uses a YAML alias (*name). Write the value out.")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidDocumentContent(f"The document is not valid YAML: {error}") from error


def _unknown(_: str) -> Any:
    raise InvalidDocumentContent("A Command document is written in JSON or YAML.")


_READERS: dict[str, Callable[[str], Any]] = {"JSON": _json, "YAML": _yaml, "TEXT": _unknown}


def _steps(given: Any, parameters: Mapping[str, Any]) -> tuple[StepSpec, ...]:
    if not isinstance(given, list) or not 0 < len(given) <= STEPS_MAX:
        raise InvalidDocumentContent(f"mainSteps must be a list of 1 to {STEPS_MAX} steps.")
    steps = tuple(_step(_object(one, "A step"), parameters) for one in given)
    if len({step.name for step in steps}) < len(steps):
        raise InvalidDocumentContent("The names of the steps in mainSteps must differ.")
    return steps


def _step(given: Mapping[str, Any], parameters: Mapping[str, Any]) -> StepSpec:
    action, name = given.get("action"), given.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidDocumentContent(f"A step of mainSteps has the name {name!r}: 1 to 128 of A-Z a-z 0-9 _ - . :")
    if action not in ACTIONS:
        raise InvalidDocumentContent(
            f"Step {name} has the action {action}, which is not supported here. Supported are: {', '.join(ACTIONS)}."
        )
    _only(given, _STEP_MEMBERS, f"Step {name}")
    inputs = _object(given.get("inputs", {}), f"inputs of step {name}")
    _only(inputs, _INPUTS, f"inputs of step {name}")
    _check_inputs(name, inputs)
    for used in _names_used(inputs):
        if used not in parameters:
            raise InvalidDocumentContent(f"Step {name} uses {{{{ {used} }}}}, which parameters does not define.")
    return StepSpec(name=name, action=action, inputs=dict(inputs), precondition=_precondition(name, given))


def _check_inputs(name: str, inputs: Mapping[str, Any]) -> None:
    script = inputs.get("runCommand")
    if not isinstance(script, str) and not (isinstance(script, list) and all(isinstance(one, str) for one in script)):
        raise InvalidDocumentContent(f"Step {name} needs runCommand, a list of strings.")
    if inputs.get("onFailure", "exit") not in ON_FAILURE:
        raise InvalidDocumentContent(f"onFailure of step {name} is exit or successAndExit.")
    if inputs.get("onSuccess", "exit") not in ON_SUCCESS:
        raise InvalidDocumentContent(f"onSuccess of step {name} can only be exit.")


def _precondition(name: str, given: Mapping[str, Any]) -> tuple[str, str] | None:
    if "precondition" not in given:
        return None
    match given["precondition"]:
        case {"StringEquals": [str(left), str(right)], **more} if not more:
            return left, right
        case _:
            raise InvalidDocumentContent(
                f'precondition of step {name} must read {{"StringEquals": ["platformType", "Linux"]}}.'
            )


USED = re.compile(r"\{\{\s*([A-Za-z0-9_:.\-/]+)\s*\}\}")
_NOT_OURS = re.compile(r"[.\-/]")  # {{.Names}} is a template of docker's, not a parameter


def _names_used(value: Any, depth: int = 0) -> set[str]:
    if depth > NESTING_MAX:
        raise InvalidDocumentContent(f"The document is nested more than {NESTING_MAX} deep.")
    match value:
        case str():
            return {name for name in USED.findall(value) if not _NOT_OURS.match(name)}
        case list():
            return set().union(*(_names_used(one, depth + 1) for one in value))
        case dict():
            return set().union(*(_names_used(one, depth + 1) for one in value.values()))
        case _:
            return set()


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidDocumentContent(f"{what} must be an object.")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidDocumentContent(f"{what} must be a string.")
    return value


def _only(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise InvalidDocumentContent(f"{where} has {', '.join(unknown)}, which is not supported here.")
