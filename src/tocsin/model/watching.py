"""What a node's agent watches: a file in the node's directory. Without it, the whole host, as on a machine of its own.

Machine providers write it where nodes share a host. It is also the test switch: sources may be files, and faults may be
put into them.
"""

from msgspec import Struct

KERNEL_LOG = "/dev/kmsg"
# Where the kernel leaves them, and where systemd takes them to at boot.
CRASH_RECORDS = ("/sys/fs/pstore", "/var/lib/systemd/pstore")


class LogFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log that is followed. Its lines count as the kernel's only if nobody else can write them: `trusted`."""

    path: str
    trusted: bool = False


class Watching(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths are relative to the node's directory. An empty one: not watched."""

    kmsg: str = KERNEL_LOG
    # Each start of the agent is a boot of its machine: the log of before is of no interest. Else the kernel says.
    start_is_boot: bool = False
    journal: bool = False
    # Folders where the kernel's last words before a crash are found after it.
    crashes: tuple[str, ...] = CRASH_RECORDS
    files: tuple[LogFile, ...] = ()
    # The host itself: disks, mounts, clock, network, daemons. Its GPUs by NVML, or those of a profile (a JSON file).
    host: bool = True
    gpus: bool = True
    gpu_profile: str = ""
    # A folder of the site's own checks.
    checks: str = ""
    # InfiniBand or EFA ports that should be up, and at how many Gb/s. 0: only those that were up are missed.
    ports: int = 0
    port_gbps: float = 0.0
    # Daemons that should run, by the name of their process.
    daemons: tuple[str, ...] = ()
    # A site's own fault types and thresholds (TOML).
    catalogue: str = ""
    # Seconds between two rounds of checks.
    interval_s: float = 10.0
    # Faults may be put in by order of the server.
    inject: bool = False
    # What resets a GPU; {gpu} is its PCI address. Empty: nothing does, and a reboot stands in.
    gpu_reset: str = "nvidia-smi --gpu-reset -i {gpu}"


# Of a node that shares its host with others: it has a log and GPUs of its own, which are files.
SHARED = Watching(
    kmsg="kmsg",
    start_is_boot=True,
    crashes=(),
    host=False,
    gpu_profile="gpus.json",
    checks="checks",
    interval_s=1.0,
    inject=True,
    gpu_reset="",
)
