"""Run the bench of the schedule laws: every task with every law, and the leaderboard; goes on where it was stopped (`make
laws`)."""

from lastiterate.cli import _shared

HELP = "run the bench of schedule laws"
EXAMPLE = "lastiterate laws build/laws.csv"


def add_arguments(parser):
    parser.add_argument(
        "out",
        help="leaderboard, .csv; beside it the runs that it is made of, _runs.csv, which are not run again, and _variants.csv",
    )
    parser.add_argument("--law", action="append", metavar="NAME", help="only these laws; repeat")


def run(args):
    from lastiterate import _check, _extras, laws
    from lastiterate._files import write_atomic

    _extras.require("pandas", "logs")
    from lastiterate.experiments import schedule_laws as bench
    from lastiterate.experiments.law_variants import VARIANTS

    out = _shared.output(args.out, ".csv", ",".join(bench.TABLE).encode())
    names = tuple(_check.choice("law", name, laws.NAMES) for name in args.law) if args.law else laws.NAMES
    some = {name: laws.LAWS[name] for name in names}
    tables = {out: some} if args.law else {out: some, out.with_name(f"{out.stem}_variants.csv"): VARIANTS}
    for path, tried in tables.items():
        runs = bench.record(path.with_name(f"{path.stem}_runs.csv"), tried)
        if runs.empty:
            raise ValueError("no task could be run: none of its logs can be had")
        table = bench.table(runs)
        write_atomic(path, table.to_csv(index=False, float_format="%.4g", lineterminator="\n").encode())
        print("mean absolute error / error of the final loss, in thousandths of a nat")
        print("\n".join(_shared.columns(bench.leaderboard(table))))
        print(f"written: {path}")
    return 0
