"""Questions on a schedule: what has no event of its own is read from time to time, and held against thresholds."""

from tocsin.agent.checks.rounds import Rounds

__all__ = ["Rounds"]
