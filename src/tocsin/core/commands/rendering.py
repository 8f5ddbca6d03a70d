"""A document's content and values -> steps ready to be run. `{{ name }}` is filled in once; values are not read again.

A value that stands alone keeps its type, so a StringList becomes lines of the script; inside a text it is written out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.json import encode

from tocsin.core.commands.content import (
    EXECUTION_TIMEOUT_S,
    ON_FAILURE,
    ON_SUCCESS,
    USED,
    Content,
    StepSpec,
)
from tocsin.core.commands.parameters import Value, values
from tocsin.model.command_errors import InvalidParameters, UnsupportedPlatformType
from tocsin.model.link import CommandStep

PLATFORM = "Linux"
TIMEOUT_S_MAX = 172_800  # 48 hours, as AWS-RunShellScript allows
# A command goes to its node in one frame of 1 MiB, in which a character may take two bytes or more.
STEPS_BYTES_MAX = 512 << 10
# The words the SSM agent has for steps it passes over.
_WRONG_PLATFORM = "Step execution skipped due to incompatible platform. Step name: {}"
_UNMET = "Step execution skipped due to unsatisfied preconditions: '\"StringEquals\": [{}, {}]'. Step name: {}"
_ALONE = re.compile(rf"\s*{USED.pattern}\s*")


def render(content: Content, given: Mapping[str, Sequence[str]]) -> tuple[CommandStep, ...]:
    """Raises InvalidParameters; UnsupportedPlatformType when no step is for Linux."""
    filled = values(content.parameters, given)
    named = {name for name, one in content.parameters.items() if one.as_variable}
    texts = {name: value for name, value in filled.items() if name not in named}
    variables = {f"SSM_{name}": str(filled[name]) for name in sorted(named)}
    steps = tuple(_step(spec, texts, variables) for spec in content.steps)
    if all(spec.interpreter is None for spec in content.steps):
        raise UnsupportedPlatformType("The document has no step that runs on Linux.")
    size = len(encode(steps))
    if size > STEPS_BYTES_MAX:
        raise InvalidParameters(
            f"With its parameters the command has {size} bytes. At most {STEPS_BYTES_MAX} are sent to a node: "
            "have its script fetch what is large."
        )
    return steps


def _step(spec: StepSpec, filled: Mapping[str, Value], variables: Mapping[str, str]) -> CommandStep:
    inputs = {name: fill(value, filled) for name, value in spec.inputs.items()}
    script = inputs["runCommand"]
    return CommandStep(
        name=spec.name,
        plugin=spec.action,
        interpreter=spec.interpreter or "",
        script=script if isinstance(script, str) else "\n".join(map(_written, script)) + "\n",
        directory=str(inputs.get("workingDirectory") or ""),
        time_limit_s=_seconds(spec.name, inputs.get("timeoutSeconds", EXECUTION_TIMEOUT_S)),
        environment=dict(variables),
        on_failure=ON_FAILURE.get(str(inputs.get("onFailure")), "go-on"),
        on_success=ON_SUCCESS.get(str(inputs.get("onSuccess")), "go-on"),
        last=inputs.get("finallyStep") in (True, "true"),
        skip=_skipped(spec, filled),
    )


def _skipped(spec: StepSpec, filled: Mapping[str, Value]) -> str:
    if spec.precondition:
        left, right = (PLATFORM if one == "platformType" else fill(one, filled) for one in spec.precondition)
        if left != right:
            return _UNMET.format(*spec.precondition, spec.name)
    return "" if spec.interpreter else _WRONG_PLATFORM.format(spec.name)


def _seconds(name: str, given: Any) -> float:
    try:
        seconds = int(given)
    except (TypeError, ValueError):
        seconds = 0
    if not 1 <= seconds <= TIMEOUT_S_MAX:
        raise InvalidParameters(f"The timeout of step {name} must be 1 to {TIMEOUT_S_MAX} seconds, not {given}.")
    return float(seconds)


def fill(value: Any, filled: Mapping[str, Value]) -> Any:
    """The value with its parameters in place."""
    match value:
        case str():
            alone = _ALONE.fullmatch(value)
            if alone and alone[1] in filled:
                return filled[alone[1]]
            return USED.sub(lambda found: _text(found, filled), value)
        case list():
            return [part for one in value for part in _spread(one, filled)]
        case dict():
            return {name: fill(one, filled) for name, one in value.items()}
        case _:
            return value


def _spread(item: Any, filled: Mapping[str, Value]) -> list[Any]:
    """A list that stands alone in a list becomes its items."""
    value = fill(item, filled)
    return value if isinstance(item, str) and isinstance(value, list) else [value]


def _text(found: "re.Match[str]", filled: Mapping[str, Value]) -> str:
    return _written(filled[found[1]]) if found[1] in filled else found[0]


def _written(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
