"""One server for all door tests of a worker; every test has an account of its own in it."""

import itertools
import signal
from collections.abc import Iterator

import pytest

from tests.harness import RunningServer

_accounts = itertools.count(100_000_000_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.stop()


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return str(next(_accounts))


def pytest_configure() -> None:
    """Children get Ctrl-C as at a terminal, also where whoever started us ignores it (a shell's background job)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-transcripts", action="store_true", help="write the transcripts of scenarios anew")


@pytest.fixture
def rewrite_transcripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-transcripts"))
