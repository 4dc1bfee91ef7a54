"""A schedule as a table, a picture, a file, or as lines and flags for a trainer (--for).

Step W of a warmup of W steps is the first at the full rate (the authors' code and most trainers have it at step W + 1: lag=1),
and the schedule runs under the warmup; with join=after it begins at the first step at the full rate, as most trainers' does."""

import argparse

from lastiterate.cli import _shared

HELP = "a schedule as a table, a picture, a file, or for a trainer"
EXAMPLE = "lastiterate schedule wsd:cooldown=0.1,shape=1-sqrt,warmup=500 --steps 20000 --lr 3e-4 --for megatron"
TENTHS = 10  # of the run, whose first steps are in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from lastiterate.schedules.settings import FOR

    parser.add_argument("schedule", metavar="SPEC", help="such as wsd:cooldown=0.2,warmup=300, hf.cosine:…, or a CSV file")
    _shared.add_steps(parser, about="T; not needed for a CSV file")
    parser.add_argument("--lr", type=float, help="base learning rate")
    parser.add_argument("--plot", metavar="PNG", help="draw it into this file")
    parser.add_argument("--out", metavar="CSV", help="write it there, for train, to_torch and the other commands")
    parser.add_argument("--for", dest="tool", choices=FOR, help="print the lines of Python or the flags for this trainer alone")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from lastiterate import _check, _extras, schedules

    (T,) = _shared.steps(args, ("steps", "tokens"))
    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    elif args.tool:
        raise ValueError(f"lr must be given with --for {args.tool}: the base learning rate")
    given = [args.schedule] if schedules.is_file(args.schedule) else []
    out = args.out and _shared.output(args.out, ".csv", b"step,eta", inputs=given)
    picture = args.plot and _shared.output(args.plot, ".png", b"lastiterate schedule", "plot", given)
    if picture:
        _extras.require("matplotlib", "plots")
        _extras.require("seaborn", "plots")
    eta = schedules.named(args.schedule, T, args.lr)
    if args.tool:
        print(_settings(args, eta))
    else:
        print("\n".join(_table(args, eta)))
    if out:
        schedules.write_csv(out, eta, args.lr)
        print(f"written: {out}")
    if picture:
        _draw(picture, np.asarray(eta), args)
        print(f"written: {picture}")
    return 0


def _table(args, eta):
    """What it is, and its rates at its corners and at tenths of the run."""
    import numpy as np

    T, unit = eta.size, 1.0 if args.lr is None else args.lr
    top = np.flatnonzero(eta >= eta.max() * (1 - 1e-12)) + 1
    where = f"at step {top[0]:,}" if top.size == 1 else f"first at step {top[0]:,}, last at step {top[-1]:,}"
    tokens = f", {T * args.batch_tokens:,} tokens" if args.batch_tokens else ""
    what = "" if args.lr is None else ", learning rates"
    lines = [f"schedule  {args.schedule}, {T:,} steps{tokens}{what}"]
    lines += [f"peak      {_shared.number(unit * eta.max())} {where}", f"mean      {_shared.number(unit * eta.mean())}", ""]
    steps = {1, T, int(top[0]), int(top[-1])}
    tenths = (max(1, round(T * k / TENTHS)) for k in range(1, TENTHS))
    steps |= {t for t in tenths if min(abs(t - corner) for corner in steps) * 3 * TENTHS > T}
    rows = [["step", *(["tokens"] if args.batch_tokens else []), "factor" if args.lr is None else "learning rate", "of the peak"]]
    for t in sorted(steps):
        seen = [f"{t * args.batch_tokens:,}"] if args.batch_tokens else []
        rows.append([f"{t:,}", *seen, _shared.number(unit * eta[t - 1]), f"{eta[t - 1] / eta.max():.4f}"])
    return lines + _shared.columns(rows)


def _settings(args, eta):
    """Lines for a trainer; where it has not this schedule, perhaps that of the same name after the warmup."""
    import json

    import numpy as np

    from lastiterate import schedules
    from lastiterate.schedules import settings

    name, given = schedules.parse(args.schedule)
    if schedules.is_file(args.schedule):
        source = f"schedules.read_csv({json.dumps(name)})"
    else:
        source = f"schedules.named({json.dumps(args.schedule)}, {eta.size}"
        try:
            without = np.array_equal(schedules.named(args.schedule, eta.size), eta)
        except ValueError:  # it has a learning rate among its parameters
            without = False
        source += ")" if without else f", {args.lr!r})"
    try:
        return settings.settings(args.tool, eta, args.lr, source)
    except ValueError as error:
        if "warmup" in given and "join" not in given:
            other = schedules.make(name, eta.size, given | {"join": "after"}, args.lr)
            if settings.nearest(args.tool, other, args.lr)[2] <= settings.EXACT:
                raise ValueError(f"{error}; it has {args.schedule},join=after exactly") from None
        raise


def _draw(path, eta, args):
    """The picture."""
    import io

    import matplotlib.pyplot as plt

    from lastiterate._files import write_atomic
    from lastiterate.companion import style

    style.use()
    fig, ax = plt.subplots(figsize=(5.4, 3.2))
    style.curve(ax, eta * (1.0 if args.lr is None else args.lr), color=style.color("wsd"))
    ax.set(xlabel="step", ylabel="factor" if args.lr is None else "learning rate", title=args.schedule)
    ax.set_ylim(bottom=0)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, metadata={"Software": "lastiterate schedule"})
    plt.close(fig)
    write_atomic(path, buffer.getvalue())
