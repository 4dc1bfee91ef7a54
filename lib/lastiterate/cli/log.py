"""What is understood of a log: its format, runs, columns, steps and gaps; and a picture of loss, rate and gradient norm."""

import argparse

from lastiterate.cli import _shared

HELP = "what is understood of a log, and a picture of it"
EXAMPLE = "lastiterate log trainer_state.json --plot run.png"
SHOWN = 8  # names in a line
TITLES = {"train_loss": "training", "val_loss": "validation"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="log of a training run: CSV, Parquet, JSON, JSON lines, or what a known trainer prints")
    parser.add_argument("--run", dest="run_name", help="which run, where the file has several")
    parser.add_argument("--plot", metavar="PNG", help="draw loss, rate and norm into this file")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras, logs
    from lastiterate.logs.names import quoted

    picture = args.plot and _shared.output(args.plot, ".png", b"lastiterate log", "plot", [args.file])
    if picture:
        _extras.require("matplotlib", "plots")
        _extras.require("seaborn", "plots")
    found = logs.about(args.file, args.run_name)
    if picture and found.table is None:
        raise ValueError(f"run must be given for a picture, one of {quoted(found.runs, SHOWN)}")
    print(f"format   {found.format}")
    if found.table is not None and len(found.runs) > 1:
        print(f"run      {args.run_name}, one of {len(found.runs)}")
    elif found.runs:
        print(f"runs     {len(found.runs)}: {quoted(found.runs, SHOWN)}")
    rows = [["column", "in the file", "rows", "from step", "to step", "logged", "first", "last"]]
    if found.table is None:
        print("columns  " + ", ".join(f"{ours} ({theirs!r})" for ours, theirs in found.columns.items()))
        print("Choose a run with --run to see its steps.")
        return 0
    steps = found.table["step"]
    print(f"steps    {steps.iloc[0]:,} to {steps.iloc[-1]:,}, {len(steps):,} rows")
    for ours, theirs in found.columns.items():
        if ours == "step":
            continue
        there = found.table.dropna(subset=ours)
        if len(there):
            ends = [_shared.number(there[ours].iloc[i]) for i in (0, -1)]
            first, last = (f"{there['step'].iloc[i]:,}" for i in (0, -1))
            rows.append([ours, theirs, f"{len(there):,}", first, last, logs.intervals(there["step"]), *ends])
        else:
            rows.append([ours, theirs, "0", "", "", "never", "", ""])
    print("\n".join(["", *_shared.columns(rows)]))
    if found.unread:
        print(f"\nnot read: {quoted(found.unread, SHOWN)}")
    if picture:
        _draw(picture, found.table)
        print(f"\nwritten: {picture}")
    return 0


def _draw(path, table):
    """Loss, rate and norm over the steps, those that there are."""
    import io

    import matplotlib.pyplot as plt

    from lastiterate._files import write_atomic
    from lastiterate.companion import style

    norm = "grad_norm" if table["grad_norm"].notna().any() or "grad_norm_l1" not in table else "grad_norm_l1"
    panels = {"loss": ["train_loss", "val_loss"], "learning rate": ["lr"], "gradient norm": [norm]}
    panels = {title: there for title, names in panels.items() if (there := [n for n in names if table[n].notna().any()])}
    style.use()
    fig, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.0), squeeze=False)
    for ax, (title, names) in zip(axes[0], panels.items(), strict=True):
        for name, color in zip(names, ("0.6" if len(names) > 1 else style.color("wsd"), style.color("wsd")), strict=False):
            there = table.dropna(subset=name)
            ax.plot(*style.thin(there["step"].to_numpy(), there[name].to_numpy()), color=color, label=TITLES.get(name))
        ax.set(xlabel="step", ylabel=title)
        if len(names) > 1:
            ax.legend()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, metadata={"Software": "lastiterate log"})
    plt.close(fig)
    write_atomic(path, buffer.getvalue())
