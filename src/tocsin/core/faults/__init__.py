"""Faults: kernel line or reading -> finding; findings -> what a node has; that -> verdict. A policy table as data."""

from tocsin.core.faults.assess import after_gpu_reset, after_reboot, assess, cleared, judge, lapse
from tocsin.core.faults.catalogue import Catalogue, CatalogueError, Fault, Profile, read_catalogue
from tocsin.core.faults.codes import mark_of
from tocsin.core.faults.context import Together, in_context, together, told_ms
from tocsin.core.faults.history import noted
from tocsin.core.faults.lemons import Score, score
from tocsin.core.faults.lines import diagnose
from tocsin.core.faults.policy import HealthPolicy
from tocsin.core.faults.readings import Gauge, measure
from tocsin.core.faults.verdict import Verdict, gpus_to_reset, weigh
from tocsin.core.faults.wording import health_lines

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Fault",
    "Gauge",
    "HealthPolicy",
    "Profile",
    "Score",
    "Together",
    "Verdict",
    "after_gpu_reset",
    "after_reboot",
    "assess",
    "cleared",
    "diagnose",
    "gpus_to_reset",
    "health_lines",
    "in_context",
    "judge",
    "lapse",
    "mark_of",
    "measure",
    "noted",
    "read_catalogue",
    "score",
    "together",
    "told_ms",
    "weigh",
]
