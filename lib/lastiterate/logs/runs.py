"""Training runs by their attributes: the authors' and this repository's own.

A **run** is a row of the config table (`find`) and rows of the log table (`load`), with the columns `formats.COLUMNS`. Runs that
were recorded here (`trainer.sweep`) are two files, ``data/runs/nano.csv`` with the configs and ``nano.parquet`` with the log;
they are found by their name, in the repository or by verified download, or by the path of the first.
"""

import functools
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lastiterate import _check
from lastiterate.logs import formats, published
from lastiterate.logs.names import COLUMNS, EXTRA, quoted

PUBLISHED = "schaipp2025"
NEEDED = ("run", "model", "scheduler", "lr", "horizon", "first_step", "trunk")  # columns of every config table
MODELS = {  # (layers, heads) of the authors' models: the name by its parameters, as in the papers
    (8, 6): "33m", (8, 8): "53m", (10, 8): "60m", (12, 10): "93m", (12, 12): "124m",
    (16, 12): "152m", (12, 14): "166m", (24, 12): "210m", (24, 16): "360m",
}  # fmt: skip
SCHEDULERS = {"cos": "cosine", "wsd": "wsd", "wsd_twostage": "two_stage"}
DECAYS = {"linear": "linear", "sqrt": "1-sqrt", None: "linear"}  # the authors' decay_type: our cooldown shape


def find(source: str | os.PathLike = "schaipp2025", **attributes: Any) -> pd.DataFrame:
    """Runs with the given attributes, as a config table.

    Args:
        source: "schaipp2025", the authors' runs; the name of recorded runs of this repository, such as "nano"; or the path of a
            .csv file of recorded runs.
        **attributes: column = value, or column = several values; columns are `model` ("124m"), `dataset`, `scheduler`
            ("cosine", "wsd", "two_stage"), `lr`, `horizon`, `cooldown`, `shape`, `final`, `warmup`, `rho`, `switch` and
            `set` ("main", "grad_norm", "horizon_transfer", "scaling"). wsd with cooldown 0 is a stable phase.

    Returns:
        DataFrame, one row a run, indexed by `run`, sorted; needs no download.

    Raises:
        ValueError: for an unknown source or attribute (the known ones are listed), a value that no run has (those that
            occur are listed), or attributes that no run has together.

    Source: the configs in the logs that Schaipp et al. 2025 published.

    >>> find(model="210m", set="main", scheduler="wsd", cooldown=0.2).index.tolist()
    ['210m-wsd-0.2-linear-lr0.0005-22222', '210m-wsd-0.2-linear-lr0.0005-33333', '210m-wsd-0.2-linear-lr0.0005-44444']
    """
    table = _config_table(source)
    if source != PUBLISHED:
        name = str(source)
        table["file"] = str(Path(name).with_suffix(".parquet")) if name.endswith(".csv") else f"runs/{name}.parquet"
    known = [column for column in table if column not in ("file", "sha256", "bytes", "trunk", "final_val_loss")]
    selected = pd.Series(True, index=table.index)
    for name, value in attributes.items():
        if name not in known:
            raise ValueError(f"unknown attribute {name!r}; known are {', '.join(known)}")
        values = list(value) if pd.api.types.is_list_like(value) else [value]
        for v in values:
            if (_is_bool(v) and table[name].dtype != bool) or not (table[name] == v).any():  # False is not the seed 0
                occurring = ", ".join(map(repr, sorted(table[name].dropna().unique().tolist())))
                raise ValueError(f"{name} must be one of {occurring}, got {_check.shown(v)}")
        selected &= table[name].isin(values)
    if not selected.any():
        raise ValueError(f"no run of {source} has all of " + ", ".join(f"{k}={_check.shown(v)}" for k, v in attributes.items()))
    return table[selected].assign(source=str(source))


def recorded_names() -> list[str]:
    """Names of the recorded runs that `find` knows.

    >>> recorded_names()[:2]
    ['nano', 'nano_long']
    """
    names = {file for file in published.registry("lastiterate") if file.startswith("runs/")}
    if folder := published.repository():
        names |= {f"runs/{path.name}" for path in (folder / "data" / "runs").glob("*.csv")}
    return sorted(Path(name).stem for name in names if name.endswith(".csv"))


def load(runs: pd.DataFrame) -> pd.DataFrame:
    """Logs of runs as one table; a cooldown's log is joined to the log of the run that it branched from.

    Args:
        runs: a config table from `find` (or some rows of it).

    Returns:
        DataFrame with COLUMNS, sorted by run (in the order of `runs`) and step; steps that were logged twice are averaged.
        Recorded runs have those of EXTRA, too.

    Raises:
        ValueError: where `runs` is not such a table, or empty.
        published.DataError: where a log cannot be had.

    Source: the logs that Schaipp et al. 2025 published.
    """
    _check_runs(runs)
    every = {source: find(source) for source in runs["source"].unique()}
    return pd.concat([_load(run, every[source]).assign(run=run) for run, source in runs["source"].items()], ignore_index=True)


def of_file(path: str | os.PathLike, run: str | int | None) -> pd.DataFrame | None:
    """Log of one of the recorded runs of a Parquet file, from the first step of the run that it branched off on.

    Returns:
        As `load`; None for another file, or where it has no such run.
    """
    configs = Path(path).with_suffix(".csv")
    if run is None or Path(path).suffix != ".parquet" or not Path(path).is_file() or not configs.is_file():
        return None
    try:
        recorded = find(configs)
    except ValueError:  # another table that happens to lie beside it
        return None
    return load(recorded.loc[[str(run)]]) if str(run) in recorded.index else None


def final_val_loss(runs: pd.DataFrame) -> pd.Series:
    """Validation loss at the end of each run, over the authors' larger validation set; a Series indexed by run.

    Args, raises and source as `load`. It differs a little from the last `val_loss` of the log, which has fewer batches.
    """
    _check_runs(runs)
    if "final_val_loss" in runs:  # recorded runs have one validation set, and were validated after the last step
        return runs["final_val_loss"]
    summaries = {run: _json(row["source"], row["file"])["summary"] for run, row in runs.iterrows()}
    return pd.Series({run: summary["final-val/loss"] for run, summary in summaries.items()}, name="final_val_loss")


def describe(log: dict) -> dict[str, Any]:
    """Attributes of one of the authors' logs (the parsed JSON), as in the config table of `find`.

    Raises:
        ValueError: for what is no such log.
    """
    try:
        return _described(log["config"], log["history"]["train"])
    except (LookupError, TypeError, AttributeError, ZeroDivisionError) as error:
        what = f"{type(error).__name__}: {_check.shown(str(error))}"
        raise ValueError(f"log must be one of the authors', parsed, got {_check.shown(log)} ({what})") from None


def _described(config, history):
    scheduler = SCHEDULERS[config["scheduler"]]
    cooldown = float(config["wsd_fract_decay"]) if scheduler != "cosine" else None
    last_lr = history["train_lr"][max(range(len(history["iter"])), key=history["iter"].__getitem__)]
    return {
        "model": MODELS[config["n_layer"], config["n_head"]],
        "dataset": config["dataset"],
        "scheduler": scheduler,
        "lr": config["lr"],
        "horizon": config["iterations"],
        "cooldown": cooldown,
        "shape": DECAYS[config.get("decay_type")] if cooldown else None,
        "final": round(last_lr / config["lr"], 2) if scheduler == "cosine" else 0.0,
        "warmup": config["warmup_steps"],
        "rho": config.get("wsd_twostage_factor") if scheduler == "two_stage" else None,
        "switch": config.get("wsd_twostage_transition_after") if scheduler == "two_stage" else None,
        "first_step": min(history["iter"]),
    }


def _check_runs(runs):
    if not isinstance(runs, pd.DataFrame) or not {"source", "file"} <= set(runs) or runs.empty:
        raise ValueError(f"runs must be a config table from `find`, got {runs!r}")


def _is_bool(value):
    return isinstance(value, bool | np.bool_)


def _config_table(source):
    """All runs of a source."""
    path = _configs(source)
    with path.open(encoding="utf-8") as opened:
        try:
            table = pd.read_csv(opened, keep_default_na=False, na_values=[""])
        except (ValueError, pd.errors.ParserError) as error:  # also what is no text
            raise ValueError(f"source {str(source)!r} must be a table of recorded runs: {_check.shown(str(error))}") from None
    if missing := [name for name in NEEDED if name not in table]:
        has = quoted(list(table), 8)
        raise ValueError(f"source {str(source)!r} must be a table of recorded runs: it has no column {missing[0]!r}, but {has}")
    return table.set_index("run")


def _configs(source):
    """The file with the config table of a source."""
    if source == PUBLISHED:
        return resources.files("lastiterate.logs") / "registry" / f"{PUBLISHED}.csv"
    if isinstance(source, str | os.PathLike) and str(source).endswith(".csv") and Path(source).is_file():
        return Path(source)
    names = recorded_names()
    if source not in names:
        known = ", ".join(map(repr, [PUBLISHED, *names]))
        raise ValueError(f"source must be one of {known}, or a .csv file of recorded runs, got {_check.shown(source)}")
    return published.recorded(f"runs/{source}.csv")


def _load(run, table, seen=()):
    if run not in table.index or run in seen:
        what = "is not in the table" if run not in table.index else "branches off itself"
        raise ValueError(f"runs must have their trunks in one table, got {run!r}, which {what}")
    row, seen = table.loc[run], (*seen, run)
    if row["source"] != PUBLISHED:
        name = row["file"]
        path = published.recorded(name) if name.startswith("runs/") and not row["source"].endswith(".csv") else Path(name)
        whole = _recorded(path, path.stat().st_mtime_ns)
        own = whole[whole["run"] == run]
        if not pd.isna(row["trunk"]):
            before = _load(row["trunk"], table, seen)
            own = pd.concat([before[before["step"] < row["first_step"]], own], ignore_index=True)
        return own.assign(run=run)
    own = formats.history(_json(row["source"], row["file"]))
    if pd.isna(row["trunk"]):
        return own.assign(run=run)[COLUMNS]
    before = _load(row["trunk"], table, seen)
    parts = []
    for columns in (["lr", "train_loss", "grad_norm"], ["val_loss"]):  # training and validation are logged at other steps
        old, new = (t.set_index("step")[columns].dropna(how="all") for t in (before, own))
        parts.append(pd.concat([old[old.index < new.index.min()], new]))
    return parts[0].join(parts[1], how="outer").reset_index().assign(run=run)[COLUMNS]


@functools.lru_cache(maxsize=8)
def _recorded(file, _changed):
    """The log table of recorded runs; what a run shares with its trunk stands there with the trunk."""
    table = pd.read_parquet(file)
    return table[COLUMNS + EXTRA].astype({"run": str})


def _json(source, file):
    return json.loads(published.fetch(source, file).read_text(encoding="utf-8"))
