"""/metrics: what the services count, in Prometheus's text format. docs/metrics.md tells of each."""

from tocsin.doors.metrics.door import MetricsDoor
from tocsin.doors.metrics.sources import Sources
from tocsin.doors.metrics.table import METRICS

__all__ = ["METRICS", "MetricsDoor", "Sources"]
