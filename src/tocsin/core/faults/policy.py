"""The settings of node health: which table, what is only observed, how often a rung is tried."""

from typing import Literal

from msgspec import Struct, field

from tocsin.core.faults.catalogue import Profile


class HealthPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds."""

    profile: Profile = "nvidia"
    # A file with a site's own fault types and changes of the table.
    catalogue: str = ""
    # Fault types (xid, xid-63, disk-full) of which everything is recorded and about which nothing is done.
    observe: list[str] = field(default_factory=list)
    # Hold nodes to the GPUs that their instance type promises. Local machines share one host, and have none of them.
    expect_gpus: bool = False
    # How often a rung of the ladder is tried for one fault at one place before the next is taken.
    gpu_resets_max: int = 1
    gpu_resets_window_s: float = 86_400.0
    reboots_max: int = 1
    reboots_window_s: float = 86_400.0
    replacements_max: int = 2
    replacements_window_s: float = 604_800.0
    # A machine with so many points (core/faults/lemons.py) is a lemon: its GPUs are not reset and it is not rebooted
    # again. Three driver errors in four weeks that each took it out, and came back after a reboot, are ten. 0: none is.
    lemon_points: int = 10
    # What is done instead: left for a person to look at, or another machine in its place.
    lemon_repair: Literal["quarantine", "replace"] = "quarantine"
    # Of a cluster's nodes, and of a group's, so many percent may be under repair when a fault begins another one: a
    # false alarm must not take a cluster down. So many nodes always may, however small it is.
    cluster_percent_max: float = 20.0
    group_percent_max: float = 34.0
    # The same of a failure domain: what fails together. Of real hosts a label of the inventory names it.
    domain_percent_max: float = 50.0
    domain_label: str = "rack"
    repairs_floor: int = 1
    # The same of nodes that are lost (dead, silent). More than of sick ones, for a dead node does nothing anyway; but
    # who is only silent may come back, and a network that is cut is no reason to replace everybody behind it.
    lost_cluster_percent_max: float = 34.0
    lost_group_percent_max: float = 50.0
    lost_domain_percent_max: float = 50.0
    lost_floor: int = 2
    # A GPU may take so long to be reset.
    gpu_reset_limit_s: float = 120.0
    # A repair waits for the commands that rules send to its node, so that they see the node as it is; at most so long
    # after the node turned unhealthy. Diagnostics take seconds, and one that hangs must not keep a node sick. 0: not at
    # all.
    commands_wait_max_s: float = 60.0
    # A repair begins so long after its fault: for those who look by other ways.
    repair_delay_s: float = 0.0
    # A repair waits for the jobs on its node at most so long; 0: until they have ended.
    jobs_wait_max_s: float = 0.0
    # Deep health checks: each test of a node runs so long, and a node's whole check may last so long.
    deep_test_s: float = 60.0
    deep_time_limit_s: float = 7_200.0
    # Nodes that are checked answer each other at this port of their addresses.
    deep_port: int = 29_517
    # `dcgmi diag -r`, where there is one: 2 takes minutes, 3 a quarter of an hour, 4 up to two hours. 0: not at all.
    deep_dcgm_level: int = 3
    # A result counts as too slow below so many percent of the median of the group's earlier results: of a GPU's, and of
    # a host's. The latter is low because local machines share one host; raise it where they do not.
    deep_gpu_percent_min: float = 90.0
    deep_host_percent_min: float = 10.0
    # A check that somebody asked for waits so long for the jobs on its node, which takes no new ones; then it is left.
    deep_jobs_wait_s: float = 600.0
