"""What instance types are by their names: as much as validation and descriptions need."""

from typing import Any

# vCPU threads by instance family: Graviton and t2-style cores have one thread, all others in the enum have two.
ONE_THREAD_FAMILIES = ("c6g", "c7g", "c8g", "m6g", "m7g", "m8g", "p6e-gb200", "m8a", "c8a")


def threads_default(instance_type: str) -> int:
    """How many threads a core of the type has."""
    family = instance_type.removeprefix("ml.").split(".")[0]
    return 1 if family.startswith(ONE_THREAD_FAMILIES) else 2


def types_of(spec: dict[str, Any]) -> list[str]:
    """The types a group's instances may be of, the first choice first."""
    asked = (spec.get("InstanceRequirements") or {}).get("InstanceTypes")
    return list(asked) if asked else [str(spec.get("InstanceType", ""))]
