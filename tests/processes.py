"""Processes of a test: started with a mark in their environment, so that whatever they leave running can be found."""

import os
import subprocess
import time
import uuid
from pathlib import Path

MARK = "LASTITERATE_TEST_MARK"


def start(command, **options):
    """A process with a mark of its own, and the mark."""
    mark = uuid.uuid4().hex
    environment = options.pop("env", os.environ) | {MARK: mark}
    return subprocess.Popen(command, env=environment, **options), mark


def left(mark):
    """Command lines of the processes with a mark that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                found += [] if state == "Z" else [(folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()]
        except OSError:  # has ended, or is another user's
            pass
    return found


def left_after(mark, seconds=20):
    """Those that are still alive after some seconds; returns as soon as there are none."""
    end = time.monotonic() + seconds
    while (found := left(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return found
