"""What a node's operating system calls itself. Told in the agent's first frame."""

import platform


def told() -> dict[str, str]:
    """Under the names of Hello's members; empty where the system does not say."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return {
        "platform_name": release.get("NAME", ""),
        "platform_version": release.get("VERSION_ID", ""),
    }
