"""Processes that end with the one that started them, and take along what they have started."""

import contextlib
import os
import re
import signal
import threading
import time

PARENT = "LASTITERATE_PARENT"  # environment variable: number of the process that the command shall end with
GRACE = 10.0  # seconds between being asked to end and being ended


def environment(variable: str, default: int, low: int, high: int) -> int:
    """The integer in [low, high] that an environment variable gives, or a ValueError that names it."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[+-]?\d{1,18}", text) or not low <= int(text) <= high:
        raise ValueError(f"environment variable {variable} must be an integer in {low}..{high}, got {text[:80]!r}")
    return int(text)


def end_with(parent: int, grace: float = GRACE) -> None:
    """Ask this process to end (SIGTERM) once its parent has, however that ended; if it does not, end it and its children.

    Args:
        parent: number of the parent process; this process ends at once where it has another one already.
        grace: seconds to save its state in.
    """

    def watch():
        while os.getppid() == parent:
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
        kill_children()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


def kill_children() -> None:
    """Kill all processes that this one has started, and those that they have."""
    try:
        import psutil  # comes with the extra "notebooks", whose kernels this is for
    except ImportError:
        return
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            child.kill()
