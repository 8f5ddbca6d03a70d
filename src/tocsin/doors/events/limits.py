"""The quotas of this door."""

from msgspec import Struct


class EventsLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS's quotas, and two settings of our own: `plain_http` lets endpoints on other machines be asked without TLS,
    `grant_log_groups` lets rules write to log groups without a resource policy."""

    buses_max: int = 100
    rules_per_bus_max: int = 300
    targets_per_rule_max: int = 5
    archives_max: int = 100
    replays_at_work_max: int = 10
    connections_max: int = 3000
    api_destinations_max: int = 3000
    unrouted_max: int = 200_000
    plain_http: bool = False
    grant_log_groups: bool = True
