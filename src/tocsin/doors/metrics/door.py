"""The route of /metrics. The samples are read first, then put into words by prometheus-client.

The registry is our own and lives as long as its world: nothing of it is the process's.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tocsin.core.histogram import Histogram
from tocsin.doors.metrics.reading import Samples, histograms, latencies, samples
from tocsin.doors.metrics.sources import Sources
from tocsin.doors.metrics.table import METRICS, Kind, Metric


class MetricsDoor(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._samples: Samples = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def routes(self) -> list[BaseRoute]:
        return [Route("/metrics", self.metrics)]

    async def metrics(self, _request: Request) -> Response:
        self._samples = await samples(self._sources)
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    def collect(self) -> Iterator[Family]:
        measured = histograms(self._sources)
        for name, metric in METRICS.items():
            if metric.kind is Kind.HISTOGRAM:
                yield _histogram(name, metric.help, measured[name])
                continue
            if metric.kind is Kind.SUMMARY:
                yield self._summary(name, metric)
                continue
            made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            family = made(name, metric.help, labels=metric.labels)
            for labels, value in self._samples.get(name, {}).items():
                family.add_metric(labels, value)
            yield family

    def _summary(self, name: str, metric: Metric) -> Family:
        family = SummaryMetricFamily(name, metric.help, labels=metric.labels)
        for labels, (count, seconds) in latencies(self._sources).items():
            family.add_metric(labels, count_value=count, sum_value=seconds)
        return family


def _histogram(name: str, told: str, measured: Histogram) -> Family:
    return HistogramMetricFamily(name, told, buckets=measured.buckets(), sum_value=measured.sum)
