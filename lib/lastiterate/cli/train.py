"""`lastiterate train`: one run. Its options are the fields of `trainer.config.Config`."""

import argparse
import inspect
import sys
from pathlib import Path

HELP = "train a small GPT under any schedule"
EXAMPLE = "lastiterate train --preset nano --schedule wsd:cooldown=0.2 --steps 200"
STEPS = 1000  # where no budget is given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from lastiterate import schedules
    from lastiterate.trainer.config import OPTIONS

    parser.add_argument(
        "--schedule",
        default="wsd",
        help=f"{', '.join(schedules.NAMES)}, parameters after a colon or as below, or a CSV file with a column eta; default wsd",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help=f"default {STEPS}, or the length of a schedule file")
    budget.add_argument("--tokens", type=float, help="budget in tokens instead of steps, such as 1e9")
    group = parser.add_argument_group("parameters of the schedule, where it has them")
    for name in _parameters():
        group.add_argument(f"--{name}", nargs="+", help=argparse.SUPPRESS if name in OPTIONS else None)
    group = parser.add_argument_group("the run")
    for name, field in OPTIONS.items():
        flag, text = f"--{name.replace('_', '-')}", field.metadata["text"]
        if field.type is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            group.add_argument(flag, type=field.type, help=text)
    parser.add_argument("--out", help="log file; build/train/<preset>-<schedule>-….parquet by default")
    parser.add_argument("--from", dest="branch", metavar="CHECKPOINT", help="branch off another run's checkpoint")
    parser.add_argument("--weights", metavar="CHECKPOINT", help="begin with its weights, and nothing else of it: fine-tuning")
    parser.add_argument("--keep", type=int, nargs="*", default=[], metavar="STEP", help="keep checkpoints after these steps")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="time between checkpoints; default 60")
    parser.add_argument("--dry-run", action="store_true", help="say parameters, tokens, memory and time, and stop")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    _extras.require("torch", "train")
    from lastiterate.trainer import beforehand, loop, machine, step
    from lastiterate.trainer import config as settings

    given = {name: value for name in settings.OPTIONS if (value := getattr(args, name)) is not None}
    parameters = _given_parameters(args)
    eta, about = settings.make_schedule(args.schedule, _steps(args, given), lr=given.get("lr"), **parameters)
    config, rates = settings.configure(eta, about, **given)
    machine.need_device(config)
    out = Path("build") / "train" / f"{settings.run_name(config)}.parquet" if args.out is None else Path(args.out)
    loop.check(config, rates, out, args.branch, args.keep, args.checkpoint_seconds, args.weights, look_inside=args.dry_run)
    if args.dry_run:
        print(beforehand.describe(config, rates, step.time_of_step(config, rates)))
        return 0
    first = machine.rank() == 0
    if first:
        print(beforehand.describe(config, rates), f"log       {out}", sep="\n", flush=True)
    try:
        log = loop.train(config, rates, out, None, args.branch, args.keep, args.checkpoint_seconds, weights=args.weights)
    except loop.Diverged as error:
        print(f"diverged: {error}", file=sys.stderr)
        return 3
    finally:
        step.leave()
    if first:
        begin, end = log.iloc[0], log.iloc[-1]
        print(
            f"finished: validation loss {end['val_loss']:.4f} after {config.horizon} steps; train loss {begin['train_loss']:.4f} "
            f"at step {begin['step']:.0f}, {end['train_loss']:.4f} at the last; log in {out}"
        )
    return 0


def _parameters():
    """Parameters of all schedules, each once."""
    from lastiterate import schedules

    every = (p for name in schedules.NAMES for p in inspect.signature(getattr(schedules, name)).parameters)
    return [name for name in dict.fromkeys(every) if name != "T"]


def _given_parameters(args):
    """Parameters that were given as options, as values; `schedules.parse` knows how they are written."""
    from lastiterate import schedules

    name = schedules.parse(args.schedule)[0]
    found = {}
    for key in _parameters():
        if words := getattr(args, key):
            text = words[0] if len(words) == 1 and key != "milestones" else f"[{','.join(words)}]"
            found |= {key: text} if schedules.is_file(name) else schedules.parse(f"{name}:{key}={text}")[1]
    return found


def _steps(args, given):
    from lastiterate import schedules
    from lastiterate.trainer.config import steps_for

    if args.tokens is not None:
        return steps_for(args.tokens, given.get("preset", "nano"), given.get("batch"), given.get("context"))
    if args.steps is None and not schedules.is_file(args.schedule):
        return STEPS
    return args.steps
