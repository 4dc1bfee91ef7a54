"""The tuned rate of one schedule, carried to another schedule or horizon; factors where no rate is given."""

import argparse

from lastiterate.cli import _shared

HELP = "a tuned rate for another schedule or horizon"
EXAMPLE = "lastiterate transfer wsd:cooldown=0.2 linear --steps 10000 --to-steps 40000 --lr 1e-3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tuned", metavar="FROM", help="schedule whose rate is known")
    parser.add_argument("wanted", metavar="TO", help="schedule whose rate is wanted")
    _shared.add_steps(parser, about="steps of the first")
    _shared.add_steps(parser, "to-steps", "to-tokens", "steps of the second; default the same")
    parser.add_argument("--lr", type=float, help="the tuned base learning rate")
    _shared.add_units(parser, tuned=False)
    _shared.add_exponent(parser)


def run(args: argparse.Namespace) -> int:
    from lastiterate import _check, bounds, schedules, transfer

    unit = _shared.unit(args, None if args.lr is None else 1.0)
    T, to = _shared.steps(args, ("steps", "tokens"), ("to-steps", "to-tokens"))
    if to is not None:
        _check.steps("to-steps", to)
    eta = schedules.named(args.tuned, T, args.lr)
    other = schedules.named(args.wanted, T if to is None else to)
    exponent, assumed = _shared.exponent(args)
    ratio = transfer.lr_ratio(eta, other, exponent=exponent)
    rates = [1.0 if unit is None else unit, ratio if unit is None else unit * ratio]
    if args.units:
        rates = [bounds.optimal_lr(values, transfer.assumed_norms(values.size, exponent))[0] for values in (eta, other)]
    rows = [["schedule", "steps", "best rate for the bound" if args.units else "your rate"]]
    for spec, values, rate in ((args.tuned, eta, rates[0]), (args.wanted, other, rates[1])):
        rows.append([spec, f"{values.size:,}", f"{rate:.4f} ×" if unit is None else _shared.number(rate)])
    lines = [*_shared.columns(rows), "", f"Multiply the rate by {ratio:.4f}.", assumed]
    if exponent != 0.5:
        lines.append(f"With T^-0.5 it would be {transfer.lr_ratio(eta, other):.4f}.")
    print("\n".join([*lines, _shared.evidence("transfer")]))
    return 0
