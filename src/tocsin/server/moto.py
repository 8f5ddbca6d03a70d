"""moto in this process, as the upstream of services that are not served here. It comes with `tocsin[moto]`."""

import contextlib
import logging
import os
import urllib.request
from collections.abc import Iterator

from tocsin.model.errors import TocsinError

RESET_TIMEOUT_S = 10.0


class MotoMissing(TocsinError):
    """moto is not installed; the text says how to."""


@contextlib.contextmanager
def moto_running(account: str) -> Iterator[str]:
    """Its address, on a free port of loopback, in a thread of its own. Raises MotoMissing."""
    os.environ["MOTO_ACCOUNT_ID"] = account  # read when moto is imported
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        raise MotoMissing(f"--with-moto needs moto: pip install 'tocsin[moto]' ({error})") from error
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it writes a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def reset(url: str) -> None:
    """Empty it, as its own clients do."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")  # noqa: S310 - our own http address
    with urllib.request.urlopen(request, timeout=RESET_TIMEOUT_S):  # noqa: S310
        pass
