"""Plans for going on from a wsd run: a lower rate, a longer cooldown, both unchanged, and the certified best for the bound."""

import argparse

from lastiterate.cli import _shared

HELP = "how to go on with a wsd run"
EXAMPLE = "lastiterate extend --from 50000 --to 200000 --cooldown 0.2 --lr 1e-3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", type=int, required=True, metavar="T1", help="steps that the run was tuned for")
    parser.add_argument("--to", type=int, required=True, metavar="T2", help="steps that it shall have")
    parser.add_argument("--cooldown", type=float, default=0.2, help="its cooldown fraction; default 0.2")
    parser.add_argument("--lr", type=float, help="its base learning rate, to print rates instead of factors")
    _shared.add_exponent(parser)
    parser.add_argument("--out", help="CSV file for the schedule of the better plan")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from lastiterate import _check, bounds, design, schedules, transfer

    T1, T2, c = args.start, args.to, args.cooldown
    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    out = args.out and _shared.output(args.out, ".csv", b"step,eta")
    exponent, assumed = _shared.exponent(args)
    rho = transfer.extend_rate(T1, T2, c, exponent)
    switch = _check.floor((1 - c) * T1)
    G = transfer.assumed_norms(T2, exponent)
    tuned = bounds.optimal_lr(schedules.wsd(T1, c), transfer.assumed_norms(T1, exponent))[0]

    def shown(rate):
        return _shared.number(rate / tuned * args.lr) if args.lr is not None else f"{rate / tuned:.3f} ×"

    plans = transfer.extension_plans(T1, T2, c, exponent)
    omega = {name: bounds.omega(tuned * eta, G, horizons=T2) for name, eta in plans.items()}
    best_eta, best, more = design.optimal(T2, G, prefix=np.full(switch, tuned))
    rows = [["plan", "rate next", "falls after step", "cooldown fraction", "Ω over the best"]]
    for name, eta in plans.items():
        rate = rho if name == "lower rate" else 1.0
        falls = int((eta >= rate * (1 - 1e-12)).sum())
        rows.append([name, shown(rate * tuned), f"{falls:,}", f"{(T2 - falls) / T2:.3f}", f"{omega[name] / best:.3f}"])
    if "longer cooldown" not in plans:
        rows.insert(2, ["longer cooldown", "–", "–", "none is long enough", "–"])
    rows.append(["best for the bound", shown(more["lr"] * best_eta[switch]), f"{switch:,}", "falls all along", "1.000"])
    choice = min(plans, key=lambda name: omega[name])
    lines = [f"A wsd run of {T1:,} steps, cooldown {c:g}, goes on to {T2:,} steps from step {switch:,}, before its cooldown.", ""]
    lines += [*_shared.columns(rows), ""]
    if choice == "same rate and cooldown":
        lines.append(f"Keep the rate and the cooldown: wsd:cooldown={c:g}")
    elif choice == "lower rate":
        said = f"Multiply the rate by {rho:.3f} after step {switch:,}, and cool down over the last {c:.0%}"
        lines.append(f"{said}: two_stage:switch={switch},rho={rho:.4f},cooldown={c:g}")
    else:
        fraction = transfer.extend_cooldown(T1, T2, c, exponent)
        lines.append(f"Keep the rate, and cool down over the last {fraction:.1%}: wsd:cooldown={fraction:.4f}")
        if T2 * (1 - fraction) < switch:
            lines.append(f"That cooldown starts before step {switch:,}: it needs an earlier checkpoint.")
    lines.append(assumed)
    if exponent != 0.5:
        lines.append(f"With T^-0.5 the factor would be {transfer.extend_rate(T1, T2, c):.3f}.")
    print("\n".join(lines))
    if out:
        schedules.write_csv(out, plans[choice], args.lr)
        print(f"written: {out}")
    return 0
