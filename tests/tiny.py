"""A run small enough for tests: its options, on the command line too, and the run itself."""

import os
import subprocess
import sys

from lastiterate import schedules, trainer

TINY = {"layers": 1, "heads": 1, "width": 32, "context": 32, "batch": 4, "warmup": 5, "eval_every": 10, "eval_sequences": 8}
TINY |= {"device": "cpu", "compile": False}
FLAGS = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if k != "compile"] + ["--no-compile"]
ROWS = [  # of a small table: three runs that share steps, and one that shares none
    {"schedule": "wsd", "horizon": 40, "cooldown": 0.2, "seed": 0},
    {"schedule": "wsd", "horizon": 40, "cooldown": 0.5, "seed": 0},
    {"schedule": "wsd", "horizon": 60, "cooldown": 0.2, "seed": 0},
    {"schedule": "cosine", "horizon": 40, "seed": 0},
]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def tiny(eta=None, about=None, **options):
    return trainer.configure(schedules.wsd(40) if eta is None else eta, about, **{"lr": 3e-3} | TINY | options)


def alone(tmp_path, config, rates, name="alone", **options):
    return trainer.train(config, rates, tmp_path / f"{name}.parquet", progress=False, **options)


def command(*flags, before=()):
    return [sys.executable, *before, "-m", "lastiterate", "train", "--schedule=wsd", "--lr=0.003", *FLAGS, *flags]


def shell(*flags, **options):
    return subprocess.run(command(*flags), env=ENVIRONMENT, capture_output=True, text=True, **options)
