"""Ω, the bound on the loss after the last step, and its best learning rate, for one or several schedules.

Rates are in units of D/G and Ω in units of D·G, not a trainer's; `lastiterate transfer` and `optimal` take and give yours."""

import argparse

from lastiterate.cli import _shared

HELP = "Ω and the best rate of schedules"
EXAMPLE = "lastiterate bound wsd:cooldown=0.2 linear cosine --steps 10000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("schedules", nargs="+", metavar="SCHEDULE", help="such as wsd:cooldown=0.2,shape=1-sqrt, or a CSV file")
    _shared.add_steps(parser, about="T; not needed for CSV files")
    parser.add_argument("--lr", type=float, help="a base learning rate in units of D/G, to see Ω at it, too")
    parser.add_argument("--out", help="CSV file for Ω at every step, at --lr or else at the best rate")
    _shared.add_norms(parser)


def run(args: argparse.Namespace) -> int:
    import warnings

    import numpy as np

    from lastiterate import _check, bounds, schedules

    if args.out is not None and len(args.schedules) > 1:
        raise ValueError(f"out needs a single schedule, got {len(args.schedules)}")
    out = args.out and _shared.output(args.out, ".csv", b"step,lr,omega", inputs=[args.grad_norms])
    at = args.lr is not None
    if at:
        _check.real("lr", args.lr, 0.0, open_low=True)
    rows, eta, G, lr = [], np.ones(1), 1.0, 1.0
    (T,) = _shared.steps(args, ("steps", "tokens"))
    for spec in args.schedules:
        eta = schedules.named(spec, T)
        G = _shared.grad_norms(args, eta.size)
        lr, best = bounds.optimal_lr(eta, G, args.D)
        at_lr = [bounds.omega(args.lr * eta, G, args.D, eta.size)] if at else []
        rows.append([spec, eta.size, lr, best, *at_lr])
    lowest = min(row[3] for row in rows)
    if at and not any(row[2] / _shared.FAR <= args.lr <= row[2] * _shared.FAR for row in rows):
        warnings.warn(f"lr {args.lr:g} is far from every best rate: it is in units of D/G here, not a trainer's")
    heading = ["schedule", "steps", "best lr", "Ω there", *(["Ω at --lr"] if at else []), "over the lowest"]
    table = [[spec, f"{T:,}", *map(_shared.number, values), f"{values[1] / lowest:.4f}"] for spec, T, *values in rows]
    print("\n".join(_shared.columns([heading, *table])))
    if out:
        rates = (args.lr if at else lr) * eta
        omega = bounds.omega(rates, G, args.D)
        _shared.write_csv(out, ("step", "lr", "omega"), np.column_stack([np.arange(1, eta.size + 1), rates, omega]))
        print(f"written: {out}")
    return 0
