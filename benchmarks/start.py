"""What it costs to start: CPU time of the command line, as a ratio to that of importing NumPy. Least of several runs."""

import os
import resource
import subprocess
import sys
from pathlib import Path

REPEAT = 15


def cpu_seconds(words):
    """Least CPU time of a command, its children's included."""
    least = float("inf")
    for _ in range(REPEAT):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


def main():
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    command = str(Path(sys.executable).with_name("lastiterate"))
    numpy = cpu_seconds([sys.executable, "-c", "import numpy"])
    print(f"start: python -c 'import numpy' {1000 * numpy:.0f} ms of CPU time; least of {REPEAT}")
    for words, asked in ((["bound", "linear", "--steps", "100"], 2.0), (["--help"], 1.5)):
        seconds = cpu_seconds([command, *words])
        print(
            f"start: lastiterate {' '.join(words)}: {1000 * seconds:.0f} ms, {seconds / numpy:.2f} times that (asked: {asked:g})"
        )


if __name__ == "__main__":
    main()
