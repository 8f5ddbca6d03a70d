"""The SageMaker door: HyperPod's operations on clusters, handed to the fleet."""

from tocsin.doors.sagemaker.door import sagemaker_door

__all__ = ["sagemaker_door"]
