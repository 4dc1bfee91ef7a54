"""A log's gradient norms become a schedule file and a picture of it; `lastiterate train --schedule FILE` trains with it."""

import argparse
from pathlib import Path

from lastiterate.cli import _shared

HELP = "a schedule from a log's gradient norms"
EXAMPLE = "lastiterate refine log.csv --column grad_norm --power 2 --horizon 10000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", help="CSV (also of Weights & Biases) or Parquet file with a run's gradient norms")
    parser.add_argument("--column", help="its column; needed where there are several")
    parser.add_argument("--run", dest="run_name", help="which run, where the file has several")
    parser.add_argument("--power", type=float, default=1.0, help="1 for l1 norms (Adam; default), 2 for l2 norms (SGD)")
    parser.add_argument("--window", type=float, default=0.1, help="median filter, as a fraction of the run; default 0.1")
    parser.add_argument("--horizon", type=int, help="steps of the schedule; by default as many as there are norms")
    parser.add_argument("--trim", type=int, default=0, help="rows to leave out at both ends")
    parser.add_argument("--fill", action="store_true", help="put an earlier norm where one is missing, infinite or zero")
    parser.add_argument("--out", help="schedule file; by default <log>.refined.csv here; the picture is beside it, .png")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from lastiterate import bounds, design, logs, schedules

    out = _shared.output(args.out or f"{Path(args.log).stem}.refined.csv", ".csv", b"step,eta", inputs=[args.log])
    picture = _shared.output(out.with_suffix(".png"), ".png", b"lastiterate refine", "the picture beside out")
    norms = logs.norms(args.log, args.column, args.run_name, args.trim, args.fill)
    eta = design.refine(norms, args.power, args.window, args.horizon)
    schedules.write_csv(out, eta)
    smooth = design.smooth(norms, args.window)
    drawn = _draw(picture, norms, smooth, eta, args.power)
    peak, above = eta.argmax() + 1, np.flatnonzero(eta >= 0.5) + 1
    weights = (smooth / smooth.min()) ** -args.power
    refined, linear = (bounds.refined_bound(smooth, weights=w) for w in (weights, np.ones(norms.size)))
    print(f"norms     {norms.size:,}, smoothed from {smooth[0]:.4g} at the start to {smooth[-1]:.4g} at the end")
    print(f"schedule  {eta.size:,} steps, peak at step {peak:,}, above half of it from {above[0]:,} to {above[-1]:,}")
    print(f"guarantee {refined / linear:.3f} times that of linear decay (for SGD with norms like these)")
    print(f"written   {out}, {picture}" if drawn else f'written   {out} (a picture needs pip install "lastiterate[plots]")')
    print(_shared.evidence("refine"))
    return 0


def _draw(path, norms, smooth, eta, power):
    """The picture of a refined schedule; returns whether there is what draws it."""
    import io

    import numpy as np

    from lastiterate import schedules
    from lastiterate._files import write_atomic

    try:
        import matplotlib.pyplot as plt

        from lastiterate.companion import style
    except ImportError:
        return False
    style.use()
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0))
    style.curve(left, norms, color="0.75", lw=0.7, label="norms")
    style.curve(left, smooth, color=style.color("refined"), label="smoothed")
    left.set(xlabel="log entry", ylabel="gradient norm", ylim=(0, 1.6 * np.quantile(norms, 0.99)))
    style.curve(right, eta, color=style.color("refined"), label=f"refined, power {power:g}")
    style.curve(right, schedules.linear(eta.size), color=style.color("linear"), ls="--", lw=1, label="linear decay")
    right.set(xlabel="step", ylabel="schedule")
    left.legend()
    right.legend()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, metadata={"Software": "lastiterate refine"})
    plt.close(fig)
    write_atomic(path, buffer.getvalue())
    return True
