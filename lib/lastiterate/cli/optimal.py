"""The schedule that minimises the bound, under constraints, with a proof that no schedule has a lower one.

Learning rates are yours where a tuned one is given with its schedule (--tuned SPEC --lr LR), which fixes the unknown D/G; with
--units bound they are in units of D/G. Without either none can be given, and the peak is a multiple of the best rate of linear
decay."""

import argparse

from lastiterate.cli import _shared

HELP = "the best schedule for the bound"
EXAMPLE = "lastiterate optimal --steps 50000 --taken 40000 --tuned wsd:cooldown=0.2 --lr 3e-4"
ROUNDING = 1e-12  # relative gap that is none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_steps(parser, required=True)
    _shared.add_units(parser)
    parser.add_argument("--tuned-steps", type=int, metavar="T1", help="steps that --lr was tuned for; default T")
    parser.add_argument("--prefix", metavar="CSV", help="schedule of the steps that were taken already, times --rate")
    parser.add_argument("--taken", type=int, metavar="N", help="or: N steps were taken at a constant --rate")
    parser.add_argument("--rate", type=float, help="learning rate of the steps that were taken; default --lr")
    parser.add_argument("--cap", type=float, help="largest learning rate")
    parser.add_argument("--monotone", action="store_true", help="the rate must not rise")
    parser.add_argument("--warmup", type=int, metavar="W", help="step t < W has at most t/W of the rate of step W")
    parser.add_argument("--out", help="CSV file for the schedule")
    _shared.add_norms(parser)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from lastiterate import _check, bounds, design, schedules

    (asked,) = _shared.steps(args, ("steps", "tokens"))
    T = args.steps = _check.steps("steps", asked)
    given = _given(args)
    tuned = None if args.tuned is None else _shared.tuned_schedule(args.tuned, args.tuned_steps or T, args.lr)
    best = None if tuned is None else bounds.optimal_lr(tuned, _shared.grad_norms(args, tuned.size), args.D)[0]
    unit = _shared.unit(args, best)
    if unit is None and given:
        how = "--tuned SPEC --lr LR, your tuned rate and its schedule, or --units bound for rates in units of D/G"
        raise ValueError(f"{given[0]} must come with what fixes the units of rates: {how}")
    G = _shared.grad_norms(args, T)
    linear_lr, linear = bounds.optimal_lr(schedules.linear(T), G, args.D)
    scale, rate = 1.0 if unit is None else unit, args.lr if args.rate is None else args.rate
    about = f"the best rate of linear decay over {T:,} steps" + (" in units of D/G" if args.units else "")
    prefix = None
    if args.prefix is not None:
        prefix = schedules.read_csv(args.prefix) * (1.0 if rate is None else rate) / scale
    elif args.taken is not None:
        prefix = np.full(_check.integer("taken", args.taken, 0, T - 1), rate) / scale
    if prefix is not None and prefix.size:
        _shared.within_reach("rate", float(prefix.max()) * scale, linear_lr * scale, about)
    if args.cap is not None and args.cap < linear_lr * scale:
        _shared.within_reach("cap", args.cap, linear_lr * scale, about)
    out = args.out and _shared.output(args.out, ".csv", b"step,eta", inputs=[args.prefix, args.grad_norms, args.tuned])
    try:
        eta, bound, more = design.optimal(T, G, args.D, prefix, args.cap and args.cap / scale, args.monotone, args.warmup)
    except RuntimeError as error:  # the solver's word, and no bug
        raise ValueError(str(error)) from None
    free = design.optimal(T, G, args.D)[1]
    peak = f"{_shared.number(more['lr'] * scale)}" if unit else f"{more['lr'] / linear_lr:.4f} × the best of linear decay"
    gap = f"relative gap at most {max(more['gap'], ROUNDING):.0e}"
    rows = [["peak learning rate", f"{peak} at step {int(eta.argmax()) + 1:,} of {T:,}"]]
    if prefix is not None and prefix.size:
        rows.append(["rate of the next step", _shared.number(more["lr"] * eta[prefix.size] * scale)])
    if args.units:
        rows += [
            ["bound Ω", _shared.number(bound, 8)],
            ["no schedule is below", f"{_shared.number(more['lower_bound'], 8)}  ({gap})"],
            ["without constraints", _shared.number(free, 8)],
            ["tuned linear decay", _shared.number(linear, 8)],
        ]
    else:
        rows += [
            ["bound Ω", f"{bound / free:.4f} × the lowest without constraints (proved, {gap})"],
            ["tuned linear decay", f"{linear / free:.4f} × the lowest"],
        ]
    print("\n".join(_shared.columns(rows)))
    if tuned is not None:
        print(f"\nUnits: {args.lr:g} is taken for the best rate of {args.tuned} over {tuned.size:,} steps (--tuned-steps).")
    print(("" if tuned is not None else "\n") + _shared.evidence("optimal"))
    if out:
        schedules.write_csv(out, eta, more["lr"] * scale if unit else None)
        print(f"written: {out}")
    return 0


def _given(args):
    """Names of the learning rates that are asked to be read, after checks that need no work."""
    from lastiterate import _check

    if args.prefix is not None and args.taken is not None:
        raise ValueError("prefix and taken must not both be given")
    if args.taken is not None:
        _check.integer("taken", args.taken, 0, args.steps - 1)
    if args.rate is not None and args.prefix is None and args.taken is None:
        raise ValueError("rate must come with --taken or --prefix: it is the learning rate of the steps that were taken")
    for name in ("rate", "cap"):
        if getattr(args, name) is not None:
            _check.real(name, getattr(args, name), 0.0, open_low=True)
    if args.taken is not None and args.rate is None and args.lr is None:
        raise ValueError("rate must be given with --taken: the learning rate of the steps that were taken")
    if args.tuned_steps is not None:
        _check.steps("tuned-steps", args.tuned_steps)
        if args.tuned is None:
            raise ValueError(f"tuned-steps must come with --tuned, the schedule that has so many, got {args.tuned_steps} alone")
    return [name for name in ("rate", "taken", "prefix", "cap") if getattr(args, name) is not None]
