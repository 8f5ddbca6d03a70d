"""The quotas of this door."""

from msgspec import Struct


class EventsLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS's quotas. `grant_log_groups`: rules may write to log groups without a resource policy that lets them."""

    buses_max: int = 100
    rules_per_bus_max: int = 300
    targets_per_rule_max: int = 5
    archives_max: int = 100
    replays_at_work_max: int = 10
    grant_log_groups: bool = True
