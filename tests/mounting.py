"""Whether disks and interfaces can be made here, for tests of faults that are real."""

import subprocess

from tocsin.agent.conditions import CannotBe, demand


def _why_not() -> str:
    try:
        demand("mkfs.ext4", "mount", "umount", "ip")
    except CannotBe as error:
        return str(error)
    free = subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode == 0
    return "" if free else "no loop device is free"


# Why not; "" when they can.
WHY_NOT = _why_not()
