"""A machine's agent without a server: takes the lock, says that it lives, waits for its end. Run as a program.

tiny_agent.py SOCKET [--deaf] [--daemon] --instance-id I --server U --dir D. SOCKET is a Unix datagram socket to which
it says `<instance id> <process id>`; --deaf ignores SIGTERM; --daemon leaves a process in a session of its own behind.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def main() -> None:
    told, options = sys.argv[1], sys.argv[2:]
    instance_id = options[options.index("--instance-id") + 1]
    directory = Path(options[options.index("--dir") + 1])
    if "--deaf" in options:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (directory / "pid").write_text(str(os.getpid()))
    (directory / "environment.json").write_text(json.dumps(dict(os.environ)))
    with (directory / "boots").open("a") as boots:
        boots.write("boot\n")
    if "--daemon" in options:
        daemon = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
        (directory / "daemon").write_text(str(daemon.pid))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news:
        news.sendto(f"{instance_id} {os.getpid()}".encode(), told)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
