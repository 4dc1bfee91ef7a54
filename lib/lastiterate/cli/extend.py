"""Plans for going on with a run: a lower rate, a longer cooldown, a cooldown at once, both unchanged, and the best for the bound.

Rates are factors of the tuned one, or yours with --lr. Plans start from the checkpoint that there is (--have); what would need an
earlier one is listed, and not recommended."""

import argparse

from lastiterate.cli import _shared

HELP = "how to go on with a run"
EXAMPLE = "lastiterate extend --from 50000 --to 200000 --cooldown 0.2 --lr 1e-3 --have 40000"
FEW = 0.05  # of a run at the full rate: below that there is hardly a checkpoint of it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "steps that the run was tuned for"
    _shared.add_steps(parser, "from", "from-tokens", about, required=True, dest="start", metavar="T1")
    _shared.add_steps(parser, "to", "to-tokens", "steps that it shall have", required=True, metavar="T2")
    parser.add_argument("--have", metavar="STEP", help="step of the checkpoint, or final; default the last before its cooldown")
    parser.add_argument("--tuned", metavar="SPEC", help="its schedule; default wsd with the three options below")
    parser.add_argument("--cooldown", type=float, help="cooldown fraction, of the run and of the plans; default 0.2")
    parser.add_argument("--shape", help="of the cooldowns; default linear")
    parser.add_argument("--warmup", type=float, help="of the run, in steps or as a fraction of them")
    parser.add_argument("--lr", type=float, help="its base learning rate, to print rates instead of factors")
    _shared.add_units(parser, tuned=False)
    _shared.add_exponent(parser)
    parser.add_argument("--out", help="CSV file for the schedule of the recommended plan")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _check, bounds, continuation, design, schedules, transfer

    T1, T2 = _shared.steps(args, ("start", "from-tokens"), ("to", "to-tokens"))
    T1 = _check.steps("from", T1)
    T2 = _check.steps("to", T2, T1 + 1)
    spec, cooldown, shape = _schedule(args)
    eta = _shared.tuned_schedule(spec, T1, args.lr)
    if eta.size != T1:
        raise ValueError(f"tuned must have the {T1:,} steps of --from, got {eta.size:,} in {spec}")
    peak = max(1.0, float(eta.max()))  # above 1 with some tools' schedules, whose own peak it is; plans have 1
    eta = eta / peak
    switch, (name, own) = continuation.full(eta), schedules.parse(spec)
    if name == "wsd":  # the first step of its cooldown is at the full rate still
        switch = max(1, min(_check.floor((1 - own.get("cooldown", 0.2)) * T1), switch))
    stays = int((eta[:switch] >= eta.max() * continuation.FULL).sum())
    have = _have(args.have, T1, switch if stays >= FEW * T1 else T1)
    out = args.out and _shared.output(args.out, ".csv", b"step,eta", inputs=[args.tuned, args.sweep])
    exponent, assumed = _shared.exponent(args)
    norms = transfer.assumed_norms(T1, exponent), transfer.assumed_norms(T2, exponent)
    tuned = bounds.optimal_lr(eta, norms[0])[0]
    unit = _shared.unit(args, None if args.lr is None else tuned / peak)

    plans = continuation.plans(eta, T2, have, cooldown, shape, norms[1], switch)
    omega = {name: bounds.omega(tuned * plan.eta, norms[1], horizons=T2) for name, plan in plans.items()}
    best_eta, best, more = design.optimal(T2, norms[1], prefix=tuned * eta[:have])

    def shown(factor):
        return f"{factor:.3f} ×" if unit is None else _shared.number(factor * tuned * unit)

    rows = [["plan", "new rate", "falls after step", "cooldown fraction", "Ω over the best", "from there"]]
    for name, plan in plans.items():
        origin = "yes" if plan.needs >= have else f"needs a checkpoint of step {plan.needs:,}"
        falls = f"{plan.falls:,}", f"{(T2 - plan.falls) / T2:.3f}"
        rows.append([name, shown(plan.rate), *falls, f"{omega[name] / best:.3f}", origin])
    next_rate = shown(more["lr"] * best_eta[have] / tuned)
    rows.append(["best for the bound", next_rate, f"{have:,}", "falls all along", "1.000", "yes"])
    feasible = {name: plan for name, plan in plans.items() if plan.needs >= have}
    choice = min(feasible, key=lambda name: omega[name])
    lines = [*_words(args, spec, T1, T2, have, switch, plans), "", *_shared.columns(rows), "", assumed]
    if exponent != 0.5 and "lower rate" in plans:
        flat = continuation.plans(eta, T2, have, cooldown, shape, 1.0, switch).get("lower rate")
        lines += [f"With T^-0.5 the factor would be {flat.rate:.3f}."] if flat else []
    lines.append(_recommended(choice, feasible[choice], spec, max(have, switch), have))
    print("\n".join(lines))
    print(_shared.evidence("extend"))
    if out:
        schedules.write_csv(out, plans[choice].eta, tuned * unit if unit else None)
        print(f"written: {out}")
    return 0


def _schedule(args):
    """The run's schedule as text, and the cooldown fraction and shape of the plans."""
    from lastiterate import _check, schedules

    fraction = args.cooldown if args.cooldown is None else _check.real("cooldown", args.cooldown, 0.0, 1.0)
    if args.tuned is None:
        c, shape = 0.2 if fraction is None else fraction, args.shape or "linear"
        spec = f"wsd:cooldown={c!r}".removesuffix(".0") + (f",shape={shape}" if args.shape else "")
        if args.warmup is not None:
            spec += f",warmup={args.warmup!r}".removesuffix(".0")
    else:
        if args.warmup is not None:
            raise ValueError("warmup must not be given with --tuned, whose own it is: SPEC,warmup=…")
        spec = args.tuned
        own = schedules.parse(spec)[1]
        c = float(own.get("cooldown", 0.2)) if fraction is None else fraction
        shape = args.shape or own.get("shape", "linear")
    _check.choice("shape", shape, schedules.SHAPES)
    if c == 1:
        raise ValueError("cooldown must be below 1, got 1: linear decay has no stable part to go on at")
    return spec, c, shape


def _have(text, T1, default):
    """The checkpoint's step."""
    from lastiterate import _check

    if text is None:
        return default
    if text == "final":
        return T1
    if not text.isdecimal() or not 1 <= int(text[:20]) <= T1:
        raise ValueError(f"have must be a step in 1..{T1}, or final, got {_check.shown(text)}")
    return int(text)


def _words(args, spec, T1, T2, have, switch, plans):
    """What is asked, and what of it cannot be had or is not covered, before any number."""
    from lastiterate import schedules

    what = "its end" if have == T1 else f"its checkpoint of step {have:,}"
    lines = [f"A run with {spec}, tuned for {T1:,} steps, goes on to {T2:,} steps from {what}."]
    if args.have is None:
        lines.append(
            "Assumed: there is that checkpoint" + (", before the cooldown" if have < T1 else "") + "; --have says another."
        )
    if have > switch:
        lines.append("The rate has fallen there already: the bound covers that, the authors' runs do not.")
    elif have < switch:
        lines.append(f"Until step {switch:,} it keeps its schedule, but for a cooldown that begins before.")
    if {"final", "final_lr"} & set(schedules.parse(spec)[1]):
        lines.append("The plans' cooldowns end at zero, whatever the run's own ends at.")
    early = [f"{name} needs a checkpoint of step {plan.needs:,}" for name, plan in plans.items() if plan.needs < have]
    if early:
        lines.append(f"Not possible from there: {', '.join(early)}.")
    if "longer cooldown" not in plans:
        lines.append("No cooldown that starts from there is long enough to keep the tuned rate." if have > switch else
                     "No cooldown is long enough to keep the tuned rate.")  # fmt: skip
    if "lower rate" not in plans:
        lines.append("Outside the theory: no lower rate makes so long a run as good as the tuned one.")
    return lines


def _recommended(name, plan, spec, start, have):
    """The last line: the plan in words, and as a spec where it has one."""
    import contextlib

    import numpy as np

    from lastiterate import schedules
    from lastiterate.schedules import compose

    fraction, T2 = (plan.eta.size - plan.falls) / plan.eta.size, plan.eta.size
    family, parameters = schedules.parse(spec)
    parameters = parameters if family == "wsd" else {}
    more = "".join(f",{key}={parameters[key]}" for key in ("shape", "warmup") if key in parameters)
    n = T2 - plan.falls
    short = (round(n / T2, digits) for digits in range(1, 12))
    written = f"wsd:cooldown={next((c for c in short if c <= 1 and compose.cooldown_steps(T2, c) == n), 0)}{more}"
    if name == "same rate and cooldown":
        written, said = spec, f"keep the rate, and cool down over the last {fraction:.1%}"
    elif name == "lower rate":
        written = f"two_stage:switch={start},rho={plan.rate:.4f},cooldown={parameters.get('cooldown', 0.2):g}"
        said = f"multiply the tuned rate by {plan.rate:.3f} after step {start:,}, and cool down over the last {fraction:.1%}"
    elif name == "longer cooldown":
        said = f"keep the rate, and cool down over the last {fraction:.1%}, after step {plan.falls:,}"
    else:
        said = f"cool down at once from the tuned rate, over all steps after step {have:,}"
    with contextlib.suppress(ValueError):
        if np.allclose(schedules.named(written, T2), plan.eta, rtol=0, atol=1e-4):
            return f"Recommended: {said}: {written}"
    return f"Recommended: {said} (--out writes the schedule)."
