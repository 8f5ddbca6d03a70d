"""`make bench`: every benchmark, one after the other. They print; nothing here passes or fails."""

import runpy

for name in (
    "bench.patterns",
    "bench.store",
    "bench.server",
    "bench.bus",
    "bench.recovery",
    "bench.fleet",
    "bench.links",
    "bench.health",
    "bench.commands",
    "bench.notify",
):
    print(f"\n===== {name}")
    runpy.run_module(name, run_name="__main__")
