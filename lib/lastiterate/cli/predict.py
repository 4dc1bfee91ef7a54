"""Loss curves of schedules that were not run, from the log of a run or two: fits schedule laws on the log's own rates and
losses, and prints each schedule's final loss with an interval, which is wide where the laws disagree. A law's progress and noise
can be told apart only where the log has a plateau of the rate with a fall behind it, a jump, or where there are two logs with
other schedules."""

from pathlib import Path

from lastiterate.cli import _shared

HELP = "the loss that another schedule would give"
EXAMPLE = "lastiterate predict log.csv --schedule linear --schedule wsd:cooldown=0.1 --steps 50000 --lr 1e-3"


def add_arguments(parser):
    parser.add_argument(
        "logs", nargs="+", metavar="LOG", help="log of a run, with its rates and losses: one or two of them, or more"
    )
    parser.add_argument(
        "--run", dest="run_name", action="append", metavar="NAME", help="which run of a file of several; repeat for more than one"
    )
    parser.add_argument(
        "--schedule", action="append", default=[], metavar="SPEC", help="such as wsd:cooldown=0.1,warmup=300; repeat"
    )
    _shared.add_steps(parser, about="T of the schedules; by default that of the longest log")
    parser.add_argument("--lr", type=float, help="their peak rate; by default the highest of the logs")
    parser.add_argument("--loss", metavar="COLUMN", help="column with the losses; by default val_loss, or else train_loss")
    parser.add_argument("--rate", metavar="COLUMN", help="column with the learning rates; by default lr")
    parser.add_argument(
        "--skip", type=int, metavar="STEPS", help="steps at the start that are not fitted; default 5 %% of each log"
    )
    parser.add_argument("--law", default="two_clock", help="law whose curves are drawn and whose best schedule is sought")
    parser.add_argument("--seed", type=int, default=0, help="of the fit's random starts")
    parser.add_argument(
        "--best", nargs="?", const=True, metavar="CSV", help="add the schedule that the law likes best; write it there"
    )
    parser.add_argument("--plot", metavar="PNG", help="draw measured and predicted curves")
    parser.add_argument("--anyway", action="store_true", help="predict even where the logs do not determine a law")


def run(args):
    import numpy as np

    from lastiterate import _check, _extras, laws, schedules

    _extras.require("pandas", "logs")
    from lastiterate.experiments import other_schedules

    _check.choice("law", args.law, laws.NAMES)
    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    plot = args.plot and _shared.output(args.plot, ".png", b"lastiterate predict", "plot")
    out = args.best is not True and args.best and _shared.output(args.best, ".csv", b"step,eta", "best")
    if not args.schedule and args.best is None:
        raise ValueError("schedule must be given, such as --schedule linear, or --best")
    (T,) = _shared.steps(args, ("steps", "tokens"))
    if T is not None and args.best is None and all(map(schedules.is_file, args.schedule)):
        raise ValueError(f"steps must come with a schedule that is no file, or with --best: a file has its own, got {T}")
    names, curves = _curves(args)
    peak = max(float(lr.max()) for lr, _, _ in curves) if args.lr is None else args.lr
    T = max(lr.size for lr, _, _ in curves) if T is None else T
    asked = {spec: peak * schedules.named(spec, None if schedules.is_file(spec) else T, peak) for spec in args.schedule}
    if args.best is not None:
        _check.steps("steps", T, 10)
    try:
        fits = other_schedules.fits(curves, args.law, args.seed, args.anyway)
    except ValueError as error:
        raise ValueError(f"{', '.join(dict.fromkeys(Path(path).name for path in args.logs))}: {error}") from None
    if args.best is not None:
        best, *_ = laws.best_schedule(fits[args.law], T, peak, other_schedules.warmup_of(curves[0][0]))
        asked[f"best for {args.law}"] = best
    table = other_schedules.outcomes(fits, asked)
    print("\n".join(_about(names, curves, fits[args.law])) + "\n")
    rows = [["schedule", "steps", "final loss", "nine of ten", *fits]]
    for spec, found in table.to_dict("index").items():
        cells = [spec, f"{found['steps']:,}", f"{found['loss']:.4f}", f"{found['low']:.4f} to {found['high']:.4f}"]
        rows.append([*cells, *(f"{found[name]:.4f}" for name in fits)])
    print("\n".join(_shared.columns(rows)))
    wider = laws.interval.EXTRAPOLATED / laws.interval.FACTOR
    for said in dict.fromkeys(filter(None, table["extrapolated"])):
        print(f"extrapolated: {said}; such intervals are {wider:.1f} times as wide, tried on two small models alone")
    if out:
        schedules.write_csv(out, np.maximum(best / peak, 0.0), peak)
        print(f"written: {out}")
    if plot:
        _draw(plot, curves, fits[args.law], asked)
        print(f"written: {plot}")
    return 0


def _curves(args):
    """Names of the losses, and a curve for each run: of one file, all runs that are named; of several, one of each."""
    from lastiterate.experiments import other_schedules

    runs = args.run_name or [None] * len(args.logs)
    files = args.logs * len(runs) if len(args.logs) == 1 else args.logs
    if len(files) != len(runs):
        raise ValueError(
            f"run must be given once a log, in their order, or several times with one log, got {len(runs)} for {len(files)}"
        )
    found = [other_schedules.curve(file, run, args.loss, args.rate, args.skip) for file, run in zip(files, runs, strict=True)]
    names = [name for name, _ in found]
    if len(set(names)) > 1:
        raise ValueError(f"loss must be one for all logs, got {' and '.join(sorted(set(names)))}: --loss names a column")
    return names, [curve for _, curve in found]


def _about(names, curves, fit):
    from lastiterate import laws
    from lastiterate.laws import fitting

    lines = [
        f"fitted on  {steps.size:,} of {loss}, steps {steps[0]:,} to {steps[-1]:,}, peak rate {lr.max():g}"
        for loss, (lr, steps, _) in zip(names, curves, strict=True)
    ]
    agreed = round(fit.agreement * len(fit.starts))
    lines.append(f"law        {fit.law.name}: {fit.law.formula}")
    lines.append(f"fit        off by {fit.residual:.4f} on the average; {agreed} of {len(fit.starts)} starts agree within 2 %")
    if fit.agreement < fitting.TRUST:
        lines.append("warning    the starts disagree: the logs hardly determine this law")
    if why := laws.ill_posed(curves):
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
    for lr, steps, losses in curves:
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
