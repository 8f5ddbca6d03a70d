"""Systems Manager's door, as far as Run Command goes: commands, documents, managed nodes."""

from tocsin.doors.ssm.door import ssm_door

__all__ = ["ssm_door"]
