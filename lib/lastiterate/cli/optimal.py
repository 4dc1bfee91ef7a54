"""The schedule that minimises the bound, under constraints, with a proof that no schedule has a lower one."""

import argparse

from lastiterate.cli import _shared

HELP = "the best schedule for the bound"
EXAMPLE = "lastiterate optimal --steps 2000 --taken 1000 --rate 0.016 --monotone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, required=True, help="T")
    parser.add_argument("--prefix", metavar="CSV", help="schedule of the steps that were taken already, times --rate")
    parser.add_argument("--taken", type=int, metavar="N", help="or: N steps were taken at a constant --rate")
    parser.add_argument("--rate", type=float, help="learning rate of the steps that were taken")
    parser.add_argument("--cap", type=float, help="largest learning rate")
    parser.add_argument("--monotone", action="store_true", help="the rate must not rise")
    parser.add_argument("--warmup", type=int, metavar="W", help="step t < W has at most t/W of the rate of step W")
    parser.add_argument("--out", help="CSV file for the schedule")
    _shared.add_norms(parser)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from lastiterate import _check, bounds, design, schedules

    T, rate = _check.steps("steps", args.steps), args.rate
    if args.prefix is not None and args.taken is not None:
        raise ValueError("prefix and taken must not both be given")
    if rate is not None:
        _check.real("rate", rate, 0.0, open_low=True)
        if args.prefix is None and args.taken is None:
            raise ValueError("rate must come with --taken or --prefix: it is the learning rate of the steps that were taken")
    prefix = None
    if args.prefix is not None:
        prefix = schedules.read_csv(args.prefix) * (1.0 if rate is None else rate)
    elif args.taken is not None:
        _check.integer("taken", args.taken, 0, T - 1)
        if rate is None:
            raise ValueError("rate must be given with --taken: the learning rate of the steps that were taken")
        prefix = np.full(args.taken, rate)
    out = args.out and _shared.output(args.out, ".csv", b"step,eta", inputs=[args.prefix, args.grad_norms])
    G = _shared.grad_norms(args, T)
    try:
        eta, best, more = design.optimal(T, G, args.D, prefix, args.cap, args.monotone, args.warmup)
    except RuntimeError as error:  # the solver's word, and no bug
        raise ValueError(str(error)) from None
    free = design.optimal(T, G, args.D)[1]
    linear = bounds.optimal_lr(schedules.linear(T), G, args.D)[1]
    rows = [
        ["bound Ω", _shared.number(best, 8)],
        ["no schedule is below", f"{_shared.number(more['lower_bound'], 8)}  (relative gap {more['gap']:.0e})"],
        ["without constraints", _shared.number(free, 8)],
        ["tuned linear decay", _shared.number(linear, 8)],
        ["peak learning rate", f"{_shared.number(more['lr'])} at step {int(eta.argmax()) + 1:,} of {T:,}"],
    ]
    print("\n".join(_shared.columns(rows)))
    if out:
        schedules.write_csv(out, eta, more["lr"])
        print(f"written: {out}")
    return 0
