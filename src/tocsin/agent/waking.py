"""Wake a stopped agent: in time, or as soon as the server knows the fault no more. A process of its own.

injections.py starts it before it stops itself: a stopped process hears nothing, so somebody else has to ask.
"""

import contextlib
import select
import signal
import sys
import time
from http import HTTPStatus
from os import pidfd_open
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tocsin.model.nodedir import FAULT_PATH

ASK_EVERY_S = 0.5
ASK_LIMIT_S = 2.0


def taken_out(url: str, instance_id: str, token: str) -> bool:
    """Whether the server has let go of the fault. One that does not answer has not."""
    headers = {"x-tocsin-instance": instance_id, "authorization": f"Bearer {token}"}
    try:
        with urlopen(Request(url, headers=headers), timeout=ASK_LIMIT_S):  # noqa: S310  (our own server's)
            return False
    except HTTPError as error:
        return error.code == HTTPStatus.NOT_FOUND
    except (URLError, OSError):
        return False


def wake(pid: int, for_s: float, server: str, instance_id: str, work: str, token: str) -> None:
    """Let the process go on once it is time. Ends with it, too."""
    handle, end = pidfd_open(pid), time.monotonic() + for_s
    gone = select.poll()
    gone.register(handle, select.POLLIN)
    while (rest_s := end - time.monotonic()) > 0:
        if gone.poll(1000 * min(rest_s, ASK_EVERY_S)):
            return
        if server and taken_out(f"{server}{FAULT_PATH}/{work}", instance_id, token):
            break
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGCONT)


if __name__ == "__main__":
    number, span, url, instance, fault = sys.argv[1:]
    wake(int(number), float(span), url, instance, fault, sys.stdin.read())
