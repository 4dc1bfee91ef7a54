"""The one schema of logs, and the names that other programs have for its columns."""

import re

COLUMNS = ["run", "step", "lr", "train_loss", "val_loss", "grad_norm"]
EXTRA = ["tokens", "grad_norm_l1", "update_norm"]  # columns of this project's trainer, kept where a log has them
KNOWN = {  # ours: theirs, in lower case; of several that a file has, the first
    "step": (
        "step", "_step", "global_step", "trainer/global_step", "train/global_step", "iter", "iteration", "train/step",
        "train/iter", "training_step", "steps", "it",
    ),
    "lr": (
        "lr", "learning_rate", "train/learning_rate", "train_lr", "train/lr", "learning-rate", "learning rate", "optim/lr",
        "lr-adamw", "lr-adam", "lr-sgd", "lr-muon", "optimizer/lr",
    ),
    "train_loss": (
        "train_loss", "train/loss", "loss", "training_loss", "train_loss_step", "train/loss_step", "lm loss", "train loss",
        "train-loss", "loss/train", "trl", "loss_metrics/global_avg_loss", "train_loss_epoch", "train/ce_loss",
    ),
    "val_loss": (
        "val_loss", "eval_loss", "eval/loss", "val/loss", "valid_loss", "valid/loss", "validation_loss", "validation/loss",
        "val loss", "validation loss", "loss/val", "tel", "val_loss_epoch", "eval/val_loss", "lm loss validation",
    ),
    "grad_norm": (
        "grad_norm", "train/grad_norm", "gradient_norm", "grad norm", "grad-norm", "train/gradient_norm", "gnorm", "norm",
        "grad_norm_l2", "global_grad_norm", "total_grad_norm", "optim/grad_norm", "grad_2.0_norm_total",
    ),
    "tokens": ("tokens", "train/num_tokens", "num_tokens", "tokens_seen", "consumed_tokens", "num_input_tokens_seen"),
    "grad_norm_l1": ("grad_norm_l1",),
    "update_norm": ("update_norm",),
}  # fmt: skip
SCALAR = {"wall time", "step", "value"}  # heading of a scalar that TensorBoard exports
ASIDE = ("index", "epoch", "time", "wall time", "_timestamp", "_runtime")  # numbers that no one takes for norms


def choose(file: str, names: list[str], given: dict[str, str], run: str | int | None = None) -> dict[str, str]:
    """Which of a file's columns are which of ours.

    Args:
        file: its name, for messages.
        names: its columns; Weights & Biases writes "run - metric", with "… __MIN" and "… __MAX" beside it.
        given: ours = theirs, which comes first.
        run: which run's columns, where names begin with the run's.

    Returns:
        {ours: theirs}, `step` and at least one other among them.

    Raises:
        ValueError: for an unknown column of ours, one of theirs that is not there, no step, or nothing else that is known.

    >>> choose("export.csv", ["Step", "train/loss", "note"], {})
    {'step': 'Step', 'train_loss': 'train/loss'}
    """
    for ours, theirs in given.items():
        if ours not in KNOWN:
            raise ValueError(f"columns must be among {', '.join(KNOWN)}, got {ours!r}")
        if theirs not in names:
            raise ValueError(f"{file} has no column {theirs!r}; it has {quoted(names)}")
    plain = metrics(file, names)
    prefixes = {label for label, _ in plain.values() if label is not None}
    if prefixes and not given and len(prefixes) > 1 and str(run) not in prefixes:
        runs = sorted(prefixes)
        raise ValueError(f"run must be one of the {len(runs)} of {file}, {quoted(runs, 5)}, got {run!r}")
    mine = {name: known for name, (label, known) in plain.items() if label is None or len(prefixes) < 2 or label == str(run)}
    found = dict(given)
    for ours, theirs in KNOWN.items():
        ranked = sorted((theirs.index(known), name) for name, known in mine.items() if known in theirs)
        if ours not in found and ranked:
            found[ours] = ranked[0][1]
    if "step" not in found:
        raise ValueError(f"{file} has no column 'step', or one that is known to be it; it has {quoted(names)}")
    if len(found) == 1:
        raise ValueError(f"{file} has no column with a known name but {found['step']!r}; it has {quoted(names)}")
    return {ours: found[ours] for ours in KNOWN if ours in found}


def metric(name: str) -> tuple[str | None, str]:
    """(run, metric in lower case) of a column's name; the run only where Weights & Biases put it there.

    >>> metric("fast-fox-3 - train/loss"), metric("Loss")
    (('fast-fox-3', 'train/loss'), (None, 'loss'))
    """
    label, dash, rest = name.rpartition(" - ")
    return (label, rest.strip().lower()) if dash else (None, name.strip().lower())


def metrics(file: str, names: list[str]) -> dict[str, tuple[str | None, str]]:
    """`metric` of a file's columns, without what Weights & Biases puts beside them; a scalar that TensorBoard exported as "Value"
    has the name that it gave the file.

    >>> metrics("run-train-tag-train_loss.csv", ["Wall time", "Step", "Value"])["Value"]
    (None, 'train_loss')
    """
    found = {name: metric(name) for name in names if not name.endswith(("__MIN", "__MAX"))}
    tag = re.search(r"tag-(.+?)( \(\d+\))?\.csv", file.lower())
    if tag and {known for _, known in found.values()} == SCALAR:
        known = {re.sub(r"\W", "_", name): name for theirs in KNOWN.values() for name in reversed(theirs)}
        word = re.sub(r"\W", "_", tag[1])
        found |= {name: (None, known.get(word, word)) for name in names if name.strip().lower() == "value"}
    return found


def run_column(names: list[str]) -> list[str]:
    """The column that names runs, as a list of one; or none."""
    return [name for name in names if str(name).strip().lower() == "run"][:1]


def quoted(names: list, most: int = 40) -> str:
    """Names in quotes, the first of them where there are many."""
    shown = ", ".join(repr(str(name)[:60]) for name in names[:most])
    return shown + (f", … ({len(names)} in all)" if len(names) > most else "")
