"""The files of a run: its log, the state that it goes on from, the checkpoints that it keeps, and its lock.

<run>.parquet                 the log, with all that it depends on in its metadata
<run>.parquet.checkpoint      the state of a run under way
<run>.STEP.checkpoint         a checkpoint that is kept, for others to branch off
<run>.parquet.lock            held by the process that trains the run
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lastiterate import _extras, _files
from lastiterate.logs.published import DataError
from lastiterate.trainer.config import FREE, Config
from lastiterate.trainer.machine import hardware

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

COLUMNS = ["step", "tokens", "lr", "train_loss", "val_loss", "grad_norm", "grad_norm_l1", "update_norm"]
KEY = b"lastiterate"  # of the metadata in a Parquet file
UNSEEN = {"compile", "log_every"}  # of a finished run nothing that comes later depends on them


def state_path(out: str | os.PathLike) -> Path:
    """Where a run under way has its state. No checkpoint that a run keeps has such a name."""
    return Path(f"{os.fspath(out)}.checkpoint")


def checkpoint_path(out: str | os.PathLike, step: int) -> Path:
    """Where a run keeps the checkpoint after a step."""
    return Path(out).with_suffix(f".{step}.checkpoint")


def trunk_of(parent: str | None) -> str | None:
    """Name of the run that kept a checkpoint of the given name.

    >>> trunk_of("nano-cosine-lr0.001-800-seed0.400.checkpoint")
    'nano-cosine-lr0.001-800-seed0'
    """
    return parent and Path(parent).name.rsplit(".", 2)[0]


# --- the log ----------------------------------------------------------------------------------------------------------


def write_log(out: str | os.PathLike, table: Any, config: Config, rates: np.ndarray, **about: Any) -> None:
    """Write a log as Parquet, atomically, with all that it depends on as JSON in the file's metadata."""
    packages = {name: importlib.metadata.version(name) for name in ("lastiterate", "torch", "numpy")}
    about |= {"config": dataclasses.asdict(config), "packages": packages, "commit": _commit(), "hardware": hardware(config)}
    about["rates"] = np.asarray(rates).tolist()
    write_parquet(out, table, about)


def write_parquet(path: str | os.PathLike, table: Any, about: dict) -> None:
    """Write a table as Parquet, atomically, with `about` as JSON in its metadata."""
    _extras.require("pyarrow", "logs")
    import pyarrow
    import pyarrow.parquet

    content = pyarrow.Table.from_pandas(table, preserve_index=False)
    content = content.replace_schema_metadata({**(content.schema.metadata or {}), KEY: json.dumps(about).encode()})
    with _files.atomic(path) as partial:
        pyarrow.parquet.write_table(content, partial, compression="zstd")


def read_metadata(path: str | os.PathLike) -> dict:
    """What `write_log` wrote beside the rows: config, rates, status, packages, commit, hardware."""
    _extras.require("pyarrow", "logs")
    import pyarrow.parquet

    try:
        return json.loads((pyarrow.parquet.read_schema(path).metadata or {})[KEY])
    except (KeyError, ValueError, RecursionError):  # also what is no Parquet file
        raise ValueError(f"{path} is not a log of this trainer") from None


def same_run(
    found: dict, config: Config, path: str | os.PathLike, found_rates: Any, rates: np.ndarray, free: set | frozenset = frozenset()
) -> None:
    """A ValueError where what was found in a file is of another config or has other rates; `free` may differ.

    What a file does not know, because it was written before there was such a choice, has its default.
    """
    for field in dataclasses.fields(config):
        was = found.get(field.name, None if field.default is dataclasses.MISSING else field.default)
        if was != getattr(config, field.name) and field.name not in free:
            raise ValueError(
                f"{path} is of another config: its {field.name} is {was!r}, this run's {getattr(config, field.name)!r}"
            )
    if len(found_rates) != len(rates) or not np.array_equal(found_rates, rates):
        raise ValueError(f"{path} is of a run with other learning rates" + (" up to there" if free == FREE else ""))


def _commit():
    def git(*words):  # of the repository that this file is tracked in, if any
        return subprocess.run(
            ["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


# --- checkpoints ------------------------------------------------------------------------------------------------------


def save(path: Path, state: dict, last: Path) -> None:
    """Write a checkpoint, atomically; the same bytes for the same state, whatever the file's name.

    Raises:
        DataError: where it cannot be written; `last` is then named as the one to go on from.
    """
    import torch

    try:
        with _files.atomic(path) as partial, partial.open("wb") as file:  # torch writes a path's name into the file
            torch.save(_canonical(state), file)
    except (OSError, RuntimeError) as error:
        if "CUDA" in str(error):  # other runtime errors are those of torch's writer, where the disk is full
            raise
        known = f"{last} is the last" if last.is_file() else "there is none yet"
        raise DataError(
            f"cannot write checkpoint {path} at step {state['step']} ({error}); {known}: free some space and go on"
        ) from None


def _canonical(value):
    """The same value of new containers and shared strings: pickle writes what occurs twice in another way than equal copies."""
    if isinstance(value, dict):
        return {_canonical(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_canonical, value))
    return sys.intern(value) if isinstance(value, str) else value


def load(path: str | os.PathLike) -> dict:
    """A checkpoint of this trainer; a ValueError for anything else."""
    import torch

    kinds = {"step": int, "first": int, "config": str, "model": dict, "optimizer": dict | list}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or any(not isinstance(state[name], kind) for name, kind in kinds.items()):
            raise TypeError
        state |= {"config": dict(json.loads(state["config"])), "rates": state["rates"].numpy(), "log": state["log"].numpy()}
        if not 0 <= state["first"] <= state["step"] or state["log"].shape != (state["step"] - state["first"], len(COLUMNS)):
            raise ValueError("log")
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except Exception as error:  # damaged and foreign files fail in many ways
        raise ValueError(f"{path} is not a checkpoint of this trainer: {type(error).__name__}") from None
    return state


def load_weights(path: str | os.PathLike, network: Any, config: Config) -> None:
    """Put another run's weights into a model of the same shape."""
    _fill(path, network, load_of_shape(path, config))


def load_of_shape(path: str | os.PathLike, config: Config) -> dict:
    """A checkpoint of this trainer, of a model of a config's shape; a ValueError for anything else."""
    state = load(path)
    for name in dataclasses.asdict(config.shape):
        if (was := state["config"].get(name)) != getattr(config, name):
            raise ValueError(f"weights {path} are of another model: {name} {was}, this run's {getattr(config, name)}")
    return state


def load_state(path: str | os.PathLike, network: Any, optimizers: list, state: dict) -> None:
    """Put a checkpoint's weights and moments into a model and its optimizers."""
    _fill(path, network, state)
    found = state["optimizer"] if isinstance(state["optimizer"], list) else [state["optimizer"]]  # as it once was
    try:
        for optimizer, moments in zip(optimizers, found, strict=True):
            names = {"AdamW": {"step", "exp_avg", "exp_avg_sq"}}.get(type(optimizer).__name__, {"momentum_buffer"})
            optimizer.load_state_dict(moments)
            for p in (p for group in optimizer.param_groups for p in group["params"]):
                has = optimizer.state.get(p, {})
                if has.keys() != (names if state["step"] else set()) or any(v.ndim and v.shape != p.shape for v in has.values()):
                    raise ValueError("moments")
    except Exception as error:  # torch looks at little of it
        raise ValueError(f"{path} has no moments of this run's optimizer: {type(error).__name__}") from None


def _fill(path, network, state):
    try:
        network.load_state_dict(state["model"])
    except Exception as error:  # missing and other tensors, and what is none
        raise ValueError(f"{path} does not fit this run's model: {str(error).splitlines()[-1].strip()}") from None


# --- the lock ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(out: str | os.PathLike) -> Iterator[None]:
    """Hold a run's lock; a ValueError where another process has it. It ends with the process, however that ends."""
    path = Path(f"{os.fspath(out)}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = None
    while file is None:
        file = path.open("a+")
        owner = _lock(file)
        if owner:
            file.close()
            raise ValueError(f"{out} is being trained by {owner}, which holds {path}: wait for it, or name another file")
        if not path.is_file() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.close()  # its last owner has ended, and removed it, since it was opened
            file = None
    try:
        file.truncate(0)
        file.write(f"{socket.gethostname()} {os.getpid()}")
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _lock(file):
    """Lock an open file; returns who else holds it."""
    file.seek(0)
    host, _, pid = file.read().partition(" ")
    owner = f"process {pid} on {host}" if pid else "another process"
    try:
        if fcntl is None:
            raise OSError
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return owner
    except OSError:  # no locks here: by the number of its process, then
        other = pid.isdecimal() and (host, int(pid)) != (socket.gethostname(), os.getpid())
        return owner if other and (host != socket.gethostname() or _files.alive(int(pid))) else None
    return None
