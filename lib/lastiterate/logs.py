"""Training runs as tables: one schema for the authors' logs and for one's own.

A **run** is a row of the config table (`find`) and rows of the log table (`load`, `read`), with the columns COLUMNS: `run`,
`step` (counted from 1; a validation before the first step has 0), `lr` (the learning rate itself, γ·η_t), `train_loss`,
`val_loss`, `grad_norm` (l2, before clipping). What was not logged at a step is NaN.

Runs that were recorded here (`sweep`) are two files, ``nano.csv`` with the configs and ``nano.parquet`` with the log; `find`
takes the path of the first where the authors' runs have the name of their source.
"""

import functools
import json
from importlib import resources
from pathlib import Path

import pandas as pd

from lastiterate import _check, data

PUBLISHED = "schaipp2025"
COLUMNS = ["run", "step", "lr", "train_loss", "val_loss", "grad_norm"]
EXTRA = ["tokens", "grad_norm_l1", "update_norm"]  # columns of this project's trainer, kept where a log has them
MODELS = {  # (layers, heads) of the authors' models: the name by its parameters, as in the papers
    (8, 6): "33m", (8, 8): "53m", (10, 8): "60m", (12, 10): "93m", (12, 12): "124m",
    (16, 12): "152m", (12, 14): "166m", (24, 12): "210m", (24, 16): "360m",
}  # fmt: skip
SCHEDULERS = {"cos": "cosine", "wsd": "wsd", "wsd_twostage": "two_stage"}
DECAYS = {"linear": "linear", "sqrt": "1-sqrt", None: "linear"}  # the authors' decay_type: our cooldown shape


def find(source="schaipp2025", **attributes):
    """Published runs with the given attributes, as a config table.

    Args:
        source: "schaipp2025", or the path of a .csv file of recorded runs.
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
    own = str(source).endswith(".csv")
    if own and not Path(source).is_file():
        raise ValueError(f"source must be {PUBLISHED!r} or a .csv file of recorded runs, got {str(source)!r}")
    file = (
        Path(source)
        if own
        else resources.files("lastiterate") / "registry" / f"{_check.choice('source', source, [PUBLISHED])}.csv"
    )
    with file.open(encoding="utf-8") as opened:
        table = pd.read_csv(opened, index_col="run", keep_default_na=False, na_values=[""])
    table = table.assign(file=str(file.with_suffix(".parquet"))) if own else table
    known = [column for column in table if column not in ("file", "sha256", "bytes", "trunk", "final_val_loss")]
    selected = pd.Series(True, index=table.index)
    for name, value in attributes.items():
        if name not in known:
            raise ValueError(f"unknown attribute {name!r}; known are {', '.join(known)}")
        values = list(value) if pd.api.types.is_list_like(value) else [value]
        for v in values:
            if not (table[name] == v).any():
                occurring = ", ".join(map(repr, sorted(table[name].dropna().unique().tolist())))
                raise ValueError(f"{name} must be one of {occurring}, got {v!r}")
        selected &= table[name].isin(values)
    if not selected.any():
        raise ValueError(f"no run of {source} has all of " + ", ".join(f"{k}={v!r}" for k, v in attributes.items()))
    return table[selected].assign(source=str(source))


def load(runs):
    """Logs of runs as one table; a cooldown's log is joined to the log of the run that it branched from.

    Args:
        runs: a config table from `find` (or some rows of it).

    Returns:
        DataFrame with COLUMNS, sorted by run (in the order of `runs`) and step; steps that were logged twice are averaged.
        Recorded runs have those of EXTRA, too.

    Raises:
        ValueError: where `runs` is not such a table, or empty.
        data.DataError: where a log cannot be had.

    Source: the logs that Schaipp et al. 2025 published.
    """
    _check_runs(runs)
    every = {source: find(source) for source in runs["source"].unique()}
    return pd.concat([_load(run, every[source]).assign(run=run) for run, source in runs["source"].items()], ignore_index=True)


def final_val_loss(runs):
    """Validation loss at the end of each run, over the authors' larger validation set; a Series indexed by run.

    Args, raises and source as `load`. It differs a little from the last `val_loss` of the log, which has fewer batches.
    """
    _check_runs(runs)
    if "final_val_loss" in runs:  # recorded runs have one validation set, and were validated after the last step
        return runs["final_val_loss"]
    summaries = {run: _json(row["source"], row["file"])["summary"] for run, row in runs.iterrows()}
    return pd.Series({run: summary["final-val/loss"] for run, summary in summaries.items()}, name="final_val_loss")


def read(path, run=None, **columns):
    """One log file as a table: the authors' JSON, or a CSV or Parquet file of one's own.

    Args:
        path: file; .json (the authors' format), .csv or .parquet.
        run: name for the `run` column; the file's stem by default.
        **columns: our column = the file's, for names that differ, such as ``step="Step", grad_norm="run - gradient_norm"``.

    Returns:
        DataFrame with COLUMNS, and those of EXTRA that the file has, sorted by step.

    Raises:
        ValueError: for another suffix, a file without the `step` column or a named one (its columns are listed), or a value
            that is not a number (an empty one is: it means "not logged").

    Source: this project.
    """
    path = Path(path)
    if path.suffix == ".json":
        try:
            table = _history(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path.name} is not a log in the authors' format: {type(error).__name__} {error}") from None
    elif path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        known = COLUMNS + EXTRA
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(f"columns must be among {', '.join(known)}, got {unknown[0]!r}")
        for ours in ("step", *columns):
            if (theirs := columns.get(ours, ours)) not in table:
                raise ValueError(f"{path.name} has no column {theirs!r}; it has {', '.join(map(repr, table))}")
        names = {ours: columns.get(ours, ours) for ours in known[1:]}
        table = pd.DataFrame({ours: table[theirs] for ours, theirs in names.items() if theirs in table})
        for name in table:
            values = pd.to_numeric(table[name], errors="coerce")
            bad = values.isna() & (table[name].notna() | (name == "step"))
            if bad.any():
                value, row = table[name][bad.idxmax()], bad.idxmax() + 1
                raise ValueError(f"{path.name}: column {names[name]!r} must have numbers, got {str(value)!r} in row {row}")
            table[name] = values
        table = _tidy(table)
    else:
        raise ValueError(f"path must end in .json, .csv or .parquet, got {str(path)!r}")
    return table.assign(run=run or path.stem)[COLUMNS + [name for name in EXTRA if name in table]]


def norms(path, column=None, run=None, trim=0, fill=False):
    """Gradient norms of one run, from a file: CSV (also as Weights & Biases exports it) or Parquet.

    Args:
        path: .csv or .parquet file.
        column: its column; by default the only one with numbers besides the step and the minimum and maximum that Weights &
            Biases adds (``… __MIN``, ``… __MAX``), or `grad_norm_l1` of this project's logs.
        run: where the file has several runs in a column `run`, which of them; a recorded run begins with the steps that it
            shares with the one it branched off.
        trim: rows to leave out at the start and at the end, such as artefacts of an export.
        fill: whether to put the nearest earlier (at the start: later) norm where one is missing, infinite or not positive.

    Returns:
        Array of shape (n,), in the order of the file.

    Raises:
        ValueError: for a file of another kind, an unknown or ambiguous column (the columns are listed) or run, text where a
            number should be, or fewer than two rows that are left.

    Source: this project, for Defazio et al. 2023.
    """
    path, trim = Path(path), _check.integer("trim", trim, 0)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"path must end in .csv or .parquet, got {str(path)!r}")
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    if run is not None and path.suffix == ".parquet" and path.with_suffix(".csv").is_file():
        recorded = find(path.with_suffix(".csv"))
        table = load(recorded.loc[[run]]) if run in recorded.index else table
    if run is not None or ("run" in table and table["run"].nunique() > 1):
        runs = list(map(str, table["run"].unique())) if "run" in table else []
        if run not in runs:
            raise ValueError(
                f"run must be one of {path.name}'s {len(runs)}, such as {', '.join(map(repr, runs[:2]))}, got {run!r}"
            )
        table = table[table["run"] == run]
    listed = ", ".join(map(repr, table))
    if column is None:
        aside = ("step", "_step", "iter", "iteration", "index", "run")
        numbers = [c for c in table.select_dtypes("number") if c.lower() not in aside and not c.endswith(("__MIN", "__MAX"))]
        candidates = ["grad_norm_l1"] if "grad_norm_l1" in table else numbers
        if len(candidates) != 1:
            raise ValueError(f"column must be named, for {path.name} has {listed}")
        column = candidates[0]
    if column not in table:
        raise ValueError(f"{path.name} has no column {column!r}; it has {listed}")
    values = pd.to_numeric(table[column], errors="coerce")
    text = values.isna() & table[column].notna()
    if text.any():
        raise ValueError(f"{path.name}: column {column!r} must have numbers, got {str(table[column][text.idxmax()])!r}")
    values = values.iloc[trim : len(values) - trim]
    if len(values) < 2:
        raise ValueError(f"{path.name} must have two norms or more, got {len(values)} with trim = {trim}")
    if fill:
        values = values.where((values > 0) & (values < float("inf"))).ffill().bfill()
    return values.to_numpy(dtype=float)


def describe(log):
    """Attributes of one of the authors' logs (the parsed JSON), as in the config table of `find`."""
    config, history = log["config"], log["history"]["train"]
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


def _load(run, table):
    row = table.loc[run]
    if str(row["source"]).endswith(".csv"):
        whole = _recorded(row["file"], Path(row["file"]).stat().st_mtime_ns)
        own = whole[whole["run"] == run]
        if not pd.isna(row["trunk"]):
            before = _load(row["trunk"], table)
            own = pd.concat([before[before["step"] < row["first_step"]], own], ignore_index=True)
        return own.assign(run=run)
    own = _history(_json(row["source"], row["file"]))
    if pd.isna(row["trunk"]):
        return own.assign(run=run)[COLUMNS]
    before = _load(row["trunk"], table)
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
    return json.loads(data.fetch(source, file).read_text(encoding="utf-8"))


def _history(log):
    names = {"iter": "step", "train_lr": "lr"}
    tables = []
    for columns in log["history"]["train"], log["history"]["val"]:
        columns = {names.get(name, name): values for name, values in columns.items()}
        tables.append(_tidy(pd.DataFrame({name: columns[name] for name in COLUMNS[1:] if name in columns})))
    train, val = (table.dropna(axis=1, how="all") for table in tables)
    return _tidy(train.merge(val, on="step", how="outer"))


def _tidy(table):
    """All value columns, one row a step, in order; steps that were logged twice (after a restart) are averaged."""
    extra = [name for name in EXTRA if name in table]
    return table.groupby("step", as_index=False).mean(numeric_only=True).reindex(columns=COLUMNS[1:] + extra)
