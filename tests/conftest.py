"""One server for all door tests of a worker; every test has an account of its own in it."""

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

from tests.harness import RunningServer, end_what_is_left

# Laws are tried on the same examples each time, however slow the machine: what fails can be seen again, and nothing
# fails that did not fail when it was written. `--hypothesis-profile=hunt` looks for new ones.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("hunt", deadline=None, suppress_health_check=_SLOW)
settings.load_profile("same")

_accounts = itertools.count(100_000_000_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.stop()


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Iterator[str]:
    """An account that no other test uses. Clusters that are left in it go: each of their nodes is a process."""
    own = str(next(_accounts))
    yield own
    if "server" in request.fixturenames:
        request.getfixturevalue("server").clear(own)


def pytest_configure() -> None:
    """Children get Ctrl-C as at a terminal, also where whoever started us ignores it (a shell's background job)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Files whose daemons are started once: their tests stay with one worker, in their order. Not by xdist's own mark, which
# writes into test ids and is not heard by a pytest that makes them otherwise (9.2).
TOGETHER = frozenset({"tests/slurm/test_real_slurm.py"})


class Scheduler(LoadGroupScheduling):  # type: ignore[misc]
    """Every other test goes to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


def pytest_sessionfinish() -> None:
    end_what_is_left()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-transcripts", action="store_true", help="write the transcripts of scenarios anew")


@pytest.fixture
def rewrite_transcripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-transcripts"))
