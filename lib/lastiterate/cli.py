"""The command line `lastiterate`: which rate, which cooldown, how to go on, what the norms say.

    lastiterate bound wsd:cooldown=0.2 linear --steps 10000
    lastiterate extend --from 50000 --to 200000 --cooldown 0.2

Schedules are written as `schedules.named` takes them: a name with parameters, or a CSV file. G and D are 1 unless given, so that
bounds are in units of D·G and rates in units of D/G; where a rate that was tuned in practice is given (--lr), what is printed
is in its units.
"""

import argparse
import sys

import numpy as np

from lastiterate import _check, bounds, design, logs, schedules, transfer

TRAINING = {  # subcommands with a parser of their own: module, one line, an example
    "refine": (
        "a schedule from a log's gradient norms",
        "lastiterate refine log.csv --column grad_norm --power 2 --horizon 10000",
    ),
    "train": ("train a small GPT under any schedule", "lastiterate train --preset nano --schedule wsd:cooldown=0.2 --steps 200"),
    "sweep": ("train a table of runs", "lastiterate sweep data/runs/nano.toml --dry-run"),
}


def main(argv=None):
    """Entry point; returns the exit status: 2 for bad input."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0] in TRAINING:
        import importlib

        return importlib.import_module(f"lastiterate.{argv[0]}").main(argv[1:], prog=f"lastiterate {argv[0]}")
    args = _parser().parse_args(argv)
    try:
        lines, written = args.run(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines + [f"written: {path}" for path in written]))
    return 0


def bound(args):
    """Ω and its best learning rate for one or several schedules."""
    if args.out and len(args.schedules) > 1:
        raise ValueError(f"out needs a single schedule, got {len(args.schedules)}")
    rows, written = [], []
    for spec in args.schedules:
        eta = schedules.named(spec, args.steps)
        G = _grad_norms(args, eta.size)
        lr, best = bounds.optimal_lr(eta, G, args.D)
        at_lr = [bounds.omega(args.lr * eta, G, args.D, eta.size)] if args.lr else []
        rows.append([spec, eta.size, lr, best, *at_lr])
        if args.out:
            rates = (args.lr or lr) * eta
            columns = {"step": np.arange(1, eta.size + 1), "lr": rates, "omega": bounds.omega(rates, G, args.D)}
            written = [_write_table(args.out, columns)]
    lowest = min(row[3] for row in rows)
    heading = ["schedule", "steps", "best lr", "Ω there", *(["Ω at --lr"] if args.lr else []), "over the lowest"]
    table = [[spec, f"{T:,}", *map(_number, values), f"{values[1] / lowest:.4f}"] for spec, T, *values in rows]
    return _columns([heading, *table]), written


def extend(args):
    """Plans for going on from a wsd run: a lower rate, a longer cooldown, both unchanged, and the certified best."""
    T1, T2, c = args.start, args.to, args.cooldown
    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    rho = transfer.extend_rate(T1, T2, c)
    switch = _check.floor((1 - c) * T1)
    tuned = bounds.optimal_lr(schedules.wsd(T1, c))[0]

    def shown(rate):
        return _number(rate / tuned * args.lr) if args.lr else f"{rate / tuned:.3f} ×"

    plans = transfer.extension_plans(T1, T2, c)
    omega = {name: bounds.omega(tuned * eta, horizons=T2) for name, eta in plans.items()}
    best_eta, best, more = design.optimal(T2, prefix=np.full(switch, tuned))
    rows = [["plan", "rate next", "falls after step", "cooldown fraction", "Ω over the best"]]
    for name, eta in plans.items():
        rate = rho if name == "lower rate" else 1.0
        falls = int((eta >= rate * (1 - 1e-12)).sum())
        rows.append([name, shown(rate * tuned), f"{falls:,}", f"{(T2 - falls) / T2:.3f}", f"{omega[name] / best:.3f}"])
    if "longer cooldown" not in plans:
        rows.insert(2, ["longer cooldown", "–", "–", "none is long enough", "–"])
    rows.append(["best for the bound", shown(more["lr"] * best_eta[switch]), f"{switch:,}", "falls all along", "1.000"])
    choice = min((name for name in plans if name != "same rate and cooldown"), key=omega.get)
    lines = [f"A wsd run of {T1:,} steps, cooldown {c:g}, goes on to {T2:,} steps from step {switch:,}, before its cooldown.", ""]
    lines += [*_columns(rows), ""]
    if choice == "lower rate":
        said = f"Multiply the rate by {rho:.3f} after step {switch:,}, and cool down over the last {c:.0%}"
        lines.append(f"{said}: two_stage:switch={switch},rho={rho:.4f},cooldown={c:g}")
    else:
        fraction = transfer.extend_cooldown(T1, T2, c)
        lines.append(f"Keep the rate, and cool down over the last {fraction:.1%}: wsd:cooldown={fraction:.4f}")
        if T2 * (1 - fraction) < switch:
            lines.append(f"That cooldown starts before step {switch:,}: it needs an earlier checkpoint.")
    written = []
    if args.out:
        schedules.write_csv(args.out, plans[choice], args.lr)
        written = [args.out]
    return lines, written


def convert(args):
    """The tuned rate of one schedule, carried to another schedule or horizon."""
    T2 = args.to_steps or args.steps
    eta, other = schedules.named(args.tuned, args.steps), schedules.named(args.wanted, T2)
    ratio = transfer.lr_ratio(eta, other)
    rows = [["schedule", "steps", "best lr for the bound", *(["your rate"] if args.lr else [])]]
    for spec, values, rate in ((args.tuned, eta, args.lr), (args.wanted, other, args.lr and args.lr * ratio)):
        rows.append([spec, f"{values.size:,}", _number(bounds.optimal_lr(values)[0]), *([_number(rate)] if args.lr else [])])
    return [*_columns(rows), "", f"Multiply the rate by {ratio:.4f}."], []


def optimal(args):
    """The schedule that minimises the bound, under constraints."""
    prefix = None
    if args.prefix and args.taken:
        raise ValueError("prefix and taken must not both be given")
    if args.prefix:
        prefix = schedules.read_csv(args.prefix) * (args.rate or 1.0)
    elif args.taken:
        if not args.rate:
            raise ValueError("rate must be given with --taken: the learning rate of the steps that were taken")
        prefix = np.full(args.taken, args.rate)
    G = _grad_norms(args, args.steps)
    eta, best, more = design.optimal(args.steps, G, args.D, prefix, args.cap, args.monotone, args.warmup)
    free = design.optimal(args.steps, G, args.D)[1]
    linear = bounds.optimal_lr(schedules.linear(args.steps), G, args.D)[1]
    lines = _columns(
        [
            ["bound Ω", _number(best, 8)],
            ["no schedule is below", f"{_number(more['lower_bound'], 8)}  (relative gap {more['gap']:.0e})"],
            ["without constraints", _number(free, 8)],
            ["tuned linear decay", _number(linear, 8)],
            ["peak learning rate", f"{_number(more['lr'])} at step {int(eta.argmax()) + 1:,} of {args.steps:,}"],
        ]
    )
    if args.out:
        schedules.write_csv(args.out, eta, more["lr"])
    return lines, [args.out] if args.out else []


def _parser():
    parser = argparse.ArgumentParser(
        prog="lastiterate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, run, help, example):
        command = commands.add_parser(name, help=help, description=run.__doc__, epilog=f"example: {example}")
        command.set_defaults(run=run)
        return command

    def norms(command):
        command.add_argument("--G", type=float, default=1.0, help="bound on the gradient norms; default 1")
        command.add_argument("--D", type=float, default=1.0, help="distance to a minimiser; default 1")
        command.add_argument(
            "--grad-norms", metavar="LOG", help="norms from a CSV or Parquet log instead, interpolated to the steps"
        )
        command.add_argument("--column", help="its column")

    command = add(
        "bound", bound, "Ω and the best rate of schedules", "lastiterate bound wsd:cooldown=0.2 linear cosine --steps 10000"
    )
    command.add_argument("schedules", nargs="+", metavar="SCHEDULE", help="such as wsd:cooldown=0.2,shape=1-sqrt, or a CSV file")
    command.add_argument("--steps", type=int, help="T; not needed for CSV files")
    command.add_argument("--lr", type=float, help="a base learning rate, to see Ω at it, too")
    command.add_argument("--out", help="CSV file for Ω at every step, at --lr or else at the best rate")
    norms(command)

    command = add(
        "extend", extend, "how to go on with a wsd run", "lastiterate extend --from 50000 --to 200000 --cooldown 0.2 --lr 1e-3"
    )
    command.add_argument("--from", dest="start", type=int, required=True, metavar="T1", help="steps that the run was tuned for")
    command.add_argument("--to", type=int, required=True, metavar="T2", help="steps that it shall have")
    command.add_argument("--cooldown", type=float, default=0.2, help="its cooldown fraction; default 0.2")
    command.add_argument("--lr", type=float, help="its base learning rate, to print rates instead of factors")
    command.add_argument("--out", help="CSV file for the schedule of the better plan")

    command = add(
        "transfer", convert, "a tuned rate for another schedule or horizon",
        "lastiterate transfer wsd:cooldown=0.2 linear --steps 10000 --to-steps 40000 --lr 1e-3",
    )  # fmt: skip
    command.add_argument("tuned", metavar="FROM", help="schedule whose rate is known")
    command.add_argument("wanted", metavar="TO", help="schedule whose rate is wanted")
    command.add_argument("--steps", type=int, help="steps of the first")
    command.add_argument("--to-steps", type=int, help="steps of the second; default the same")
    command.add_argument("--lr", type=float, help="the tuned base learning rate")

    command = add(
        "optimal",
        optimal,
        "the best schedule for the bound",
        "lastiterate optimal --steps 2000 --taken 1000 --rate 0.016 --monotone",
    )
    command.add_argument("--steps", type=int, required=True, help="T")
    command.add_argument("--prefix", metavar="CSV", help="schedule of the steps that were taken already, times --rate")
    command.add_argument("--taken", type=int, metavar="N", help="or: N steps were taken at a constant --rate")
    command.add_argument("--rate", type=float, help="learning rate of the steps that were taken")
    command.add_argument("--cap", type=float, help="largest learning rate")
    command.add_argument("--monotone", action="store_true", help="the rate must not rise")
    command.add_argument("--warmup", type=int, metavar="W", help="step t < W has at most t/W of the rate of step W")
    command.add_argument("--out", help="CSV file for the schedule")
    norms(command)

    for name, (about, example) in TRAINING.items():
        commands.add_parser(name, help=f"{about}: {example}", add_help=False)
    return parser


def _grad_norms(args, T):
    if not args.grad_norms:
        return args.G
    norms = logs.norms(args.grad_norms, args.column, fill=True)
    return np.interp(np.linspace(0, 1, T), np.linspace(0, 1, norms.size), norms)


def _write_table(path, columns):
    import pandas as pd

    from lastiterate._files import write_atomic

    if not path.endswith(".csv"):
        raise ValueError(f"out must be a file name that ends in .csv, got {path!r}")
    write_atomic(path, pd.DataFrame(columns).to_csv(index=False, float_format="%.10g").encode())
    return path


def _number(value, digits=5):
    return f"{value:.{digits}g}"


def _columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


if __name__ == "__main__":
    sys.exit(main())
