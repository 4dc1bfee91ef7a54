"""Refine: a log's gradient norms become a schedule file and a picture.

    python -m lastiterate.refine LOG --column grad_norm --power 2 --horizon 10000

The file has the columns `step` and `eta`; `python -m lastiterate.train --schedule FILE` trains with it.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

from lastiterate import bounds, design, figures, logs, schedules
from lastiterate._files import write_atomic


def main(argv=None, prog="python -m lastiterate.refine"):
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("log", help="CSV (also of Weights & Biases) or Parquet file with a run's gradient norms")
    parser.add_argument("--column", help="its column; needed where there are several")
    parser.add_argument("--run", help="which run, where the file has several")
    parser.add_argument("--power", type=float, default=1.0, help="1 for l1 norms (Adam; default), 2 for l2 norms (SGD)")
    parser.add_argument("--window", type=float, default=0.1, help="median filter, as a fraction of the run; default 0.1")
    parser.add_argument("--horizon", type=int, help="steps of the schedule; by default as many as there are norms")
    parser.add_argument("--trim", type=int, default=0, help="rows to leave out at both ends")
    parser.add_argument("--fill", action="store_true", help="put an earlier norm where one is missing, infinite or zero")
    parser.add_argument("--out", help="schedule file; by default <log>.refined.csv here; the picture is beside it, .png")
    args = parser.parse_args(argv)
    try:
        norms = logs.norms(args.log, args.column, args.run, args.trim, args.fill)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", design.DegenerateSchedule)
            eta = design.refine(norms, args.power, args.window, args.horizon)
        out = Path(args.out or f"{Path(args.log).stem}.refined.csv")
        if out.suffix != ".csv":
            raise ValueError(f"out must be a file name that ends in .csv, got {str(out)!r}")
        schedules.write_csv(out, eta)
        _picture(out.with_suffix(".png"), norms, eta, args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for warning in said:
        print(f"warning: {warning.message}", file=sys.stderr)
    smooth = design.smooth(norms, args.window)
    peak, above = eta.argmax() + 1, np.flatnonzero(eta >= 0.5) + 1
    refined, linear = (bounds.refined_bound(smooth, weights=w) for w in (smooth**-args.power, np.ones(norms.size)))
    print(f"norms     {norms.size:,}, smoothed from {smooth[0]:.4g} at the start to {smooth[-1]:.4g} at the end")
    print(f"schedule  {eta.size:,} steps, peak at step {peak:,}, above half of it from {above[0]:,} to {above[-1]:,}")
    print(f"guarantee {refined / linear:.3f} times that of linear decay (for SGD with norms like these)")
    print(f"written   {out}, {out.with_suffix('.png')}")
    return 0


def _picture(path, norms, eta, args):
    import io

    import matplotlib.pyplot as plt

    figures.style()
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0))
    smooth = design.smooth(norms, args.window)
    figures.curve(left, norms, color="0.75", lw=0.7, label="norms")
    figures.curve(left, smooth, color=figures.color("refined"), label="smoothed")
    left.set(xlabel="log entry", ylabel="gradient norm", ylim=(0, 1.6 * np.quantile(norms, 0.99)))
    figures.curve(right, eta, color=figures.color("refined"), label=f"refined, power {args.power:g}")
    figures.curve(right, schedules.linear(eta.size), color=figures.color("linear"), ls="--", lw=1, label="linear decay")
    right.set(xlabel="step", ylabel="schedule")
    left.legend()
    right.legend()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    plt.close(fig)
    write_atomic(path, buffer.getvalue())


if __name__ == "__main__":
    sys.exit(main())
