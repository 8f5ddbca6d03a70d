"""The names of nodes in SSM's model, widened by the form in which HyperPod names them and SendCommand on AWS does not
take them: sagemaker-cluster:<cluster-id>_<group>-<instance-id> (facts/hyperpod.md §10.5)."""

from typing import Any

PATTERN = r"(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)|(^sagemaker-cluster:[a-z0-9]{12}_[a-zA-Z0-9\-]{1,63}-i-\w{8,17}$)"


def widened(model: dict[str, Any]) -> dict[str, Any]:
    """Changes the model in place."""
    model["shapes"]["InstanceId"]["pattern"] = PATTERN
    return model
