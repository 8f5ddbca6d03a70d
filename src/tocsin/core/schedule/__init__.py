"""When a rule with a ScheduleExpression fires: `rate(5 minutes)`, `cron(0 8 ? * MON-FRI *)`.

Doors call `parse` when a rule is put; the bus asks `next_after` and sleeps until then. The law is written down in
docs/schedules.md. Must not know rules or the time: what is now comes in by argument.
"""

from .days import Days
from .expression import Cron, Rate, Schedule, parse
from .following import next_after

__all__ = ["Cron", "Days", "Rate", "Schedule", "next_after", "parse"]
