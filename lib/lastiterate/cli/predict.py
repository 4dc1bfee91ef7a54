"""Loss curves of schedules that were not run, from the log of a run or two: fits schedule laws on the log's own rates and
losses, and prints each schedule's final loss with an interval, which is wide where the laws disagree. A law's progress and noise
can be told apart only where the log has a plateau of the rate with a fall behind it, a jump, or where there are two logs with
other schedules."""

from pathlib import Path

from lastiterate.cli import _shared

HELP = "the loss that another schedule would give"
EXAMPLE = "lastiterate predict log.csv --schedule linear --schedule wsd:cooldown=0.1 --steps 50000 --lr 1e-3"
ENOUGH = 8  # validation losses from which on they are fitted rather than training losses


def add_arguments(parser):
    parser.add_argument(
        "logs", nargs="+", metavar="LOG", help="log of a run, with its rates and losses: one or two of them, or more"
    )
    parser.add_argument(
        "--schedule", action="append", default=[], metavar="SPEC", help="such as wsd:cooldown=0.1,warmup=300; repeat"
    )
    parser.add_argument("--steps", type=int, help="T of the schedules; by default that of the longest log")
    parser.add_argument("--lr", type=float, help="their peak rate; by default the highest of the logs")
    parser.add_argument("--loss", metavar="COLUMN", help="column with the losses; by default val_loss, or else train_loss")
    parser.add_argument("--rate", metavar="COLUMN", help="column with the learning rates; by default lr")
    parser.add_argument(
        "--skip", type=int, metavar="STEPS", help="steps at the start that are not fitted; default 5 %% of each log"
    )
    parser.add_argument("--law", default="two_clock", help="law whose curves are drawn and whose best schedule is sought")
    parser.add_argument("--seed", type=int, default=0, help="of the fit's random starts")
    parser.add_argument(
        "--best", nargs="?", const="", metavar="CSV", help="add the schedule that the law likes best; write it there"
    )
    parser.add_argument("--plot", metavar="PNG", help="draw measured and predicted curves")
    parser.add_argument("--anyway", action="store_true", help="predict even where the logs do not determine a law")


def run(args):
    import numpy as np

    from lastiterate import _check, laws, schedules
    from lastiterate.laws import interval

    _check.choice("law", args.law, laws.NAMES)
    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    plot = args.plot and _shared.output(args.plot, ".png", b"lastiterate predict", "plot")
    out = args.best and _shared.output(args.best, ".csv", b"step,eta", "best")
    if not args.schedule and args.best is None:
        raise ValueError("schedule must be given, such as --schedule linear, or --best")
    curves = [_curve(path, args) for path in args.logs]
    why = laws.ill_posed([curve for _, curve in curves])
    if why and not args.anyway:
        raise ValueError(f"the logs do not determine a law: {why}; --anyway predicts all the same")
    fits = {
        name: laws.fit([curve for _, curve in curves], name, args.seed) for name in dict.fromkeys((args.law, *interval.PANEL))
    }
    main = fits[args.law]
    peak = main.unit if args.lr is None else args.lr
    T = args.steps or max(lr.size for _, (lr, _, _) in curves)
    asked = {spec: peak * schedules.named(spec, None if Path(spec).suffix == ".csv" else T) for spec in args.schedule}
    if args.best is not None:
        lr, _, _ = laws.best_schedule(main, T, peak, _warmup(curves[0][1][0]))
        asked[f"best for {args.law}"] = lr
    print("\n".join(_about(curves, main, why)) + "\n")
    rows = [["schedule", "steps", "final loss", "nine of ten", *fits]]
    for spec, lr in asked.items():
        losses = {name: float(fit.predict(lr, [lr.size])[0]) for name, fit in fits.items()}
        low, high = interval.around(losses, main.extrapolates(lr) is not None, args.law)
        rows.append(
            [spec, f"{lr.size:,}", f"{losses[args.law]:.4f}", f"{low:.4f} to {high:.4f}", *(f"{v:.4f}" for v in losses.values())]
        )
    print("\n".join(_shared.columns(rows)))
    for said in dict.fromkeys(filter(None, map(main.extrapolates, asked.values()))):
        print(f"extrapolated: {said}; the intervals are wider, and were tried on small runs only")
    if out:
        schedules.write_csv(out, np.maximum(lr / peak, 0.0), peak)
        print(f"written: {out}")
    if plot:
        _draw(plot, curves, main, asked)
        print(f"written: {plot}")
    return 0


def _curve(path, args):
    """(name of the loss, curve for `laws.fit`) of a log."""
    from lastiterate import _check, laws, logs

    columns = {ours: theirs for ours, theirs in (("val_loss", args.loss), ("lr", args.rate)) if theirs}
    log = logs.read(path, **columns)
    rate = log.dropna(subset="lr")
    if len(rate) < 2:
        raise ValueError(f"{Path(path).name} has no learning rates: column 'lr' is missed, or --rate names another")
    loss = "val_loss" if args.loss or log["val_loss"].notna().sum() >= ENOUGH else "train_loss"
    scored = log.dropna(subset=loss)
    if scored.empty:
        raise ValueError(f"{Path(path).name} has no losses: column 'val_loss' or 'train_loss' is missed, or --loss names another")
    T = int(max(rate["step"].iloc[-1], scored["step"].iloc[-1]))
    skip = round(0.05 * T) if args.skip is None else _check.integer("skip", args.skip, 0, T - 1)
    rates = laws.rates(rate["step"].to_numpy(), rate["lr"].to_numpy(), T)
    done = scored["step"] - (1 if loss == "train_loss" else 0)  # a batch's loss is that before its step
    kept = done > max(skip, 0)
    if not kept.any():
        raise ValueError(f"skip must leave losses to fit, got {skip:,} of {T:,} steps in {Path(path).name}")
    return args.loss or loss, (rates, done[kept].to_numpy(int), scored.loc[kept, loss].to_numpy(float))


def _warmup(lr):
    """Steps until the rate is first at 99 % of its peak, where it starts below half of it; else 0."""
    first = int((lr >= 0.99 * lr.max()).argmax())
    return first if lr[0] < 0.5 * lr.max() and first < 0.2 * lr.size else 0


def _about(curves, fit, why):
    lines = [
        f"fitted on  {steps.size:,} of {loss}, steps {steps[0]:,} to {steps[-1]:,}, peak rate {lr.max():g}"
        for loss, (lr, steps, _) in curves
    ]
    agreed = round(fit.agreement * len(fit.starts))
    lines.append(f"law        {fit.law.name}: {fit.law.formula}")
    lines.append(f"fit        off by {fit.residual:.4f} on the average; {agreed} of {len(fit.starts)} starts agree within 2 %")
    if fit.agreement < 0.5:
        lines.append("warning    the starts disagree: the logs hardly determine this law")
    if why:
        lines.append(f"ill-posed  {why}")
    return lines


def _draw(path, curves, fit, asked):
    import io

    from lastiterate import _extras
    from lastiterate._files import write_atomic

    _extras.require("matplotlib", "plots")
    import matplotlib.pyplot as plt
    import numpy as np

    from lastiterate.companion import style

    style.use()
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.4))
    shades = style.colors(len(asked))
    for lr, steps, losses in (curve for _, curve in curves):
        left.plot(*style.thin(steps, losses), color="0.6", lw=1, label="measured")
        left.plot(*style.thin(steps, fit.predict(lr, steps)), color="0.1", lw=0.8, ls="--", label="fitted")
        style.curve(right, lr, color="0.6", label="run")
    for color, (spec, lr) in zip(shades, asked.items(), strict=True):
        steps = np.unique(np.linspace(max(1, lr.size // 20), lr.size, 800).astype(int))
        left.plot(steps, fit.predict(lr, steps), color=color, label=spec)
        style.curve(right, lr, color=color, label=spec)
    left.set(xlabel="step", ylabel="loss")
    right.set(xlabel="step", ylabel="learning rate")
    left.legend()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, metadata={"Software": "lastiterate predict"})
    plt.close(fig)
    write_atomic(path, buffer.getvalue())
