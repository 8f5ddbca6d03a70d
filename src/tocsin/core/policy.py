"""The fleet's policy: every deadline and budget the planner works with, in one record. Settings may change each."""

from msgspec import Struct


class FleetPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds. Defaults suit local machines, which boot in under a second."""

    # From the order of a machine to its agent's first word. Real machines boot in minutes: raise it for them.
    launch_timeout_s: float = 60.0
    # A lifecycle script gets this long; AWS documents no value, field reports see an hour.
    script_time_limit_s: float = 3600.0
    script_output_bytes_max: int = 4 << 20
    # A link that closed is up again well within this time when the node lives: agents retry every 0.1 to 1 s.
    link_lost_grace_s: float = 2.0
    # A link that is open but silent: long enough for a node under full load, short enough to matter.
    heartbeat_timeout_s: float = 20.0
    # The same when the workload manager does not reach the node either: two that agree are believed sooner.
    witnessed_timeout_s: float = 5.0
    beat_interval_s: float = 1.0
    # After a start of the server every agent has to find its way back.
    reconnect_grace_s: float = 10.0
    # A replacement that fails is tried again, each time after twice the pause; after so many attempts in a row its
    # group is Degraded, and operations that need it fail instead of waiting. Who mends the script finds it healed.
    replacement_pause_s: float = 5.0
    replacement_pause_max_s: float = 300.0
    degraded_after_attempts: int = 3
    # Replacements under way at a time in one cluster: a mass false alarm must not take a cluster down. The controller's
    # come on top: the others wait for it.
    replacements_at_once_max: int = 8
    # A lifecycle script that fails on a new image is run again, each time on a fresh root volume; after so many
    # attempts the update is rolled back (field reports: about four).
    update_attempts_max: int = 4
    # Continuous provisioning: how long a group may wait for its MinInstanceCount before it goes back; as on AWS.
    minimum_timeout_s: float = 10_800.0
    # All clusters of this server together. Every local instance is a process of about 40 MiB.
    instances_max: int = 100
