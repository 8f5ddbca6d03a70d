"""The shipped table of faults, and a node that findings fall on."""

from datetime import UTC, datetime
from pathlib import Path

from tocsin.core import faults
from tocsin.core.faults import Catalogue, Profile, Verdict, assess, read_catalogue, weigh
from tocsin.core.faults.policy import HealthPolicy
from tocsin.model.health import Finding, Known, Line

SHIPPED = Path(faults.__file__).parent
TABLE = (SHIPPED / "catalogue.toml").read_bytes()
CODES = (SHIPPED / "codes.json").read_bytes()
NOW_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
PROFILES: tuple[Profile, ...] = ("nvidia", "hyperpod", "strict")
BY_PROFILE = {profile: read_catalogue(TABLE, CODES, profile=profile) for profile in PROFILES}
CATALOGUE = BY_PROFILE["nvidia"]
POLICY = HealthPolicy()


def kernel(text: str, at_ms: int = NOW_MS, facility: int = 0) -> Line:
    return Line(source="kmsg", text=text, at_ms=at_ms, facility=facility)


def finding(
    fault: str, code: int = 0, *, subject: str = "", at_ms: int = NOW_MS, text: str = "", count: int = 1
) -> Finding:
    words = text or fault
    return Finding(fault=fault, code=code, subject=subject, at_ms=at_ms, text=words, source="kmsg", count=count)


def known_of(*findings: Finding, catalogue: Catalogue = CATALOGUE) -> tuple[Known, ...]:
    known: tuple[Known, ...] = ()
    for one in findings:
        known = assess(known, one, catalogue)
    return known


def verdict(*findings: Finding, catalogue: Catalogue = CATALOGUE, at_ms: int = NOW_MS) -> Verdict:
    return weigh(known_of(*findings, catalogue=catalogue), (), POLICY, at_ms)
