"""Exim on a loopback port, with a configuration, a queue and a maildir of its own, nothing of the system's."""

import email
import email.policy
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from tests.certificates import self_signed
from tests.doors.mailbox import PASSWORD, USER
from tests.harness import WAIT_S, eventually, free_port

# Debian's name. Others call it exim, and are not tried.
EXIM = shutil.which("exim4", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# Nothing is looked up outside: no names, no identities.
CONFIGURATION = f"""
primary_hostname = mail.test
spool_directory = @folder@/spool
log_file_path = @folder@/%slog
pid_file_path = @folder@/pid
exim_user = @user@
exim_group = @group@
keep_environment =
host_lookup =
rfc1413_hosts =
tls_advertise_hosts = *
tls_certificate = @folder@/cert.pem
tls_privatekey = @folder@/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = recipient

begin acl
recipient:
  require authenticated = *
          message = log in first
  deny    local_parts = refused
          message = nobody here
  defer   local_parts = busy
          message = come back later
  accept

begin routers
all:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = @folder@/box
  maildir_format
  user = @user@
  group = @group@
  envelope_to_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = $auth2
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
"""


class Exim:
    """A running one. `folder` holds its certificate, `cert.pem`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def log(self) -> str:
        logs = (self.folder / name for name in ("mainlog", "rejectlog", "paniclog", "out"))
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def wait_for(self, address: str, number: int = 1) -> list[EmailMessage]:
        """What was put into the maildir for the address, in order, once it is so many."""

        def enough() -> list[EmailMessage]:
            found = [one for one in self._delivered() if one["Envelope-to"] == address]
            return found if len(found) >= number else []

        found: list[EmailMessage] = eventually(enough, f"{number} mails to {address}")
        return found

    def _delivered(self) -> list[EmailMessage]:
        # Not by name: Exim writes microseconds without leading zeros.
        files = sorted((self.folder / "box" / "new").glob("*"), key=lambda file: file.stat().st_mtime_ns)
        found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        return [one for one in found if isinstance(one, EmailMessage)]


@contextmanager
def exim() -> Iterator[Exim]:
    """STARTTLS, and a login behind it. `refused@…` gets 550, `busy@…` 451."""
    assert EXIM is not None
    with tempfile.TemporaryDirectory(prefix="exim-") as name:
        running = Exim(Path(name), free_port())
        _furnish(running.folder)
        command = [EXIM, "-C", str(running.folder / "exim.conf"), "-bdf", "-oX", f"127.0.0.1.{running.port}"]
        with (running.folder / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                eventually(lambda: process.poll() is not None or _listens(running.port), "Exim on its port")
                assert process.poll() is None, running.log()
                yield running
            finally:
                process.terminate()
                process.wait(WAIT_S)


def _furnish(folder: Path) -> None:
    """Exim gives up root for a user who must come at its files, and refuses to deliver as root."""
    user, group = ("nobody", "nogroup") if os.getuid() == 0 else (getpass.getuser(), str(os.getgid()))
    folder.chmod(0o755)
    for file in self_signed(folder):
        file.chmod(0o644)
    (folder / "spool").mkdir()
    if os.getuid() == 0:
        for place in (folder, folder / "spool"):
            shutil.chown(place, user, group)
    text = CONFIGURATION
    for word, value in (("@folder@", str(folder)), ("@user@", user), ("@group@", group)):
        text = text.replace(word, value)
    (folder / "exim.conf").write_text(text)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
