"""What a run depends on.

A field of `Config` that has a text is an option: of `configure`, of a row in a sweep's table and of `lastiterate train`, with the
type, the default and the limits that stand here.
"""

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lastiterate import _check, schedules
from lastiterate.schedules.spec import warmup_steps
from lastiterate.trainer.machine import COMPILE_STEPS, compiling_pays, has_bfloat16, has_gpu, processes


@dataclasses.dataclass(frozen=True)
class Shape:
    """Shape of a model: `layers` blocks with `heads` heads, `width` wide, for `context` tokens out of a `vocabulary`."""

    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int

    @property
    def hidden(self) -> int:
        """Width inside SwiGLU: 8/3 of the width, rounded up to a multiple of 64."""
        return -(-8 * self.width // (3 * 64)) * 64

    @property
    def matrices(self) -> int:
        """Entries of all matrices; the embedding counts once, because the same matrix makes the logits."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.hidden) + self.vocabulary * self.width

    @property
    def parameters(self) -> int:
        """Entries of the matrices, and the gains of the norms."""
        return self.matrices + (2 * self.layers + 1) * self.width


PRESETS = {  # vocabularies: bytes for the first three, GPT-2's tokens, padded to a multiple of 64, for the others
    "pico": Shape(layers=2, heads=1, width=64, context=128, vocabulary=256),
    "nano": Shape(layers=4, heads=2, width=128, context=128, vocabulary=256),
    "small": Shape(layers=8, heads=9, width=576, context=512, vocabulary=256),
    "124m": Shape(layers=12, heads=12, width=768, context=512, vocabulary=50304),
    "210m": Shape(layers=24, heads=12, width=768, context=512, vocabulary=50304),
}
RECIPES = {
    "pico": {"lr": 3e-3, "batch": 8, "micro_batch": 8, "warmup": 50, "eval_every": 50, "eval_sequences": 128},
    "nano": {"lr": 2e-3, "batch": 8, "micro_batch": 8, "warmup": 50, "eval_every": 50, "eval_sequences": 128},
    "small": {"lr": 1e-3, "batch": 64, "micro_batch": 64, "warmup": 100, "eval_every": 250, "eval_sequences": 512},
    "124m": {"lr": 1e-3, "batch": 200, "micro_batch": 50, "warmup": 300, "eval_every": 500, "eval_sequences": 1000},
    "210m": {"lr": 1e-3, "batch": 200, "micro_batch": 50, "warmup": 300, "eval_every": 500, "eval_sequences": 1000},
}
FREE = {"schedule", "lr", "horizon", "warmup", "log_every"}  # a branch may differ in them, as long as the rates so far agree
RAMPS = frozenset({"start", "lag", "join", "start_lr"})  # of a spec, that make another warmup than a config's
ALWAYS_NAMED = ("cooldown", "shape", "rho", "power")  # parameters of schedules that are in a run's name even as defaults


def option(text: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A field that can be chosen; without a default it has the preset's, or one that depends on the machine."""
    return dataclasses.field(default=default, metadata={"text": text, "limits": limits})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All that a run depends on, but its rates. See `configure`."""

    preset: str = option(", ".join(RECIPES), "nano", among=RECIPES)
    layers: int = option("blocks of the model")
    heads: int = option("heads of attention")
    width: int = option("of the model, a multiple of twice the number of heads")
    context: int = option("tokens of a sequence")
    vocabulary: int = option("of the model; at least the corpus's")
    corpus: str = option("python, shakespeare, a text file, or a folder of tokens", "python")
    corpus_sha256: str
    schedule: dict
    lr: float = option("base learning rate", low=0.0, open_low=True)
    horizon: int
    warmup: int = option("steps of linear warmup", low=0)
    batch: int = option("sequences a step, over all processes")
    micro_batch: int = option("sequences that a process takes at once; a step has a multiple of them")
    seed: int = option("of the weights and of the order of the data", 0, low=0, high=2**63 - 1)
    optimizer: str = option("adamw, muon (on the blocks' matrices) or sgd", "adamw", among=("adamw", "muon", "sgd"))
    weight_decay: float = option("of matrices", 0.1, low=0.0)
    beta1: float = option("of AdamW", 0.9, low=0.0, below=1.0)
    beta2: float = option("of AdamW", 0.95, low=0.0, below=1.0)
    clip: float = option("largest l2 norm of the gradient", 1.0, low=0.0, open_low=True)
    eval_every: int = option("steps between validations; one is always made after the last step")
    eval_sequences: int = option("sequences of a validation, the same ones each time; a multiple of those at once")
    log_every: int = option("steps between rows of the log; 1 by default, 10 on a GPU", 1)
    dtype: str = option("bfloat16 (autocast, weights stay float32) or float32", among=("bfloat16", "float32"))
    device: str = option("cpu or cuda", among=("cpu", "cuda"))
    compile: bool = option(f"use torch.compile; by default on a GPU, and on a CPU for {COMPILE_STEPS} steps or more")
    processes: int

    @property
    def shape(self) -> Shape:
        return Shape(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Shape)})

    @property
    def accumulation(self) -> int:
        """Micro-batches that each process adds up in a step."""
        return self.batch // (self.micro_batch * self.processes)


OPTIONS = {field.name: field for field in dataclasses.fields(Config) if field.metadata}


def configure(eta: Any, schedule: dict | None = None, **options: Any) -> tuple[Config, np.ndarray]:
    """A run's config and its rates, with everything checked and the preset's recipe filled in.

    Args:
        eta: schedule, shape (T,); its warmup is put on here.
        schedule: what eta is, as a dict of the attributes that `logs.find` knows, for the record; a `warmup` among them is the
            run's.
        **options: fields of `Config` that have a text there, such as lr, preset, seed, layers; None stands for the default.

    Returns:
        (Config, rates): the rates are γ times the schedule with its warmup, shape (T,).

    Raises:
        ValueError: on a bad or unknown argument.

    Source: Schaipp et al. 2025, section 4.1 and appendix (model, AdamW, batch and warmup of the large presets).

    >>> config, rates = configure(schedules.wsd(100), lr=0.01, corpus="python", device="cpu")
    >>> config.preset, config.warmup, rates[:2]
    ('nano', 50, array([0.0002, 0.0004]))
    """
    if unknown := [name for name in options if name not in OPTIONS]:
        raise ValueError(f"options have no {unknown[0]!r}; they have {', '.join(OPTIONS)}")
    eta = _check.schedule(eta)
    given = {name: value for name, value in options.items() if value is not None}
    about, warmup = _attributes({"scheduler": "array"} if schedule is None else schedule)
    if warmup is not None:
        if "warmup" in given:
            raise ValueError(f"warmup must be given once, got {warmup} in the schedule and {given['warmup']} beside it")
        given["warmup"] = warmup
    preset = _check.choice("preset", given.get("preset", "nano"), RECIPES)
    usual = {name: field.default for name, field in OPTIONS.items() if field.default is not dataclasses.MISSING}
    chosen: dict[str, Any] = usual | dataclasses.asdict(PRESETS[preset]) | RECIPES[preset] | given
    parts = processes()
    if "micro_batch" not in given:  # as many as fit, and the batch divides by
        share = max(_check.integer("batch", chosen["batch"]) // parts, 1)
        chosen["micro_batch"] = max(n for n in range(1, min(share, chosen["micro_batch"]) + 1) if share % n == 0)
    if "device" not in given:
        chosen["device"] = "cuda" if has_gpu() else "cpu"
    if "log_every" not in given:
        chosen["log_every"] = 10 if chosen["device"] == "cuda" else 1
    if "dtype" not in given:
        chosen["dtype"] = "bfloat16" if has_bfloat16(chosen["device"]) else "float32"
    if "compile" not in given:
        chosen["compile"] = compiling_pays(eta.size, chosen["device"])
    chosen = {name: _checked(name, value) for name, value in chosen.items()}
    if chosen["warmup"] > eta.size:
        raise ValueError(f"warmup must be at most the budget of {eta.size} steps, got {chosen['warmup']}")
    if chosen["batch"] % (chosen["micro_batch"] * parts):
        by = f"micro_batch = {chosen['micro_batch']}" + (f" times {parts} processes" if parts > 1 else "")
        raise ValueError(f"batch must be a multiple of {by}, got {chosen['batch']}")
    if chosen["eval_sequences"] % chosen["micro_batch"]:
        raise ValueError(f"eval_sequences must be a multiple of {chosen['micro_batch']}, got {chosen['eval_sequences']}")
    if chosen["width"] % (2 * chosen["heads"]):
        raise ValueError(f"width must be a multiple of twice the number of heads ({chosen['heads']}), got {chosen['width']}")
    from lastiterate.trainer import corpora  # here: it needs more packages than the command line's --help

    tokens = corpora.corpus(chosen["corpus"])
    chosen["vocabulary"] = max(chosen["vocabulary"], -(-tokens.vocabulary // 64) * 64)
    for part, arrays in (("train", tokens.train), ("val", tokens.val)):
        if max(map(len, arrays)) <= chosen["context"]:
            raise ValueError(f"context must be shorter than the corpus's {part} part, got {chosen['context']}")
    chosen |= {"corpus": tokens.name, "corpus_sha256": tokens.sha256}
    config = Config(schedule=about, horizon=eta.size, processes=parts, **chosen)
    return config, _rates(config, eta)


def _attributes(schedule):
    """(what a schedule is, as it will be read back from a log; its warmup or None)."""
    found = dict(schedule) if isinstance(schedule, Mapping) else {}
    warmup = found.pop("warmup", None)
    try:
        found = json.loads(json.dumps(found, default=float, allow_nan=False)) if all(isinstance(k, str) for k in found) else {}
    except (TypeError, ValueError, RecursionError):  # what JSON does not know
        found = {}
    if not isinstance(found.get("scheduler"), str):
        said = "a dict with a 'scheduler', which is text, and numbers, text or lists of them"
        raise ValueError(f"schedule must be {said}, got {_check.shown(schedule)}")
    return found, warmup


def _rates(config, eta):
    """Rates of a run; with a base rate beside which floats do not reach, a ValueError."""
    shape, peak = schedules.warmup(eta, config.warmup), eta.max()
    with np.errstate(over="ignore", under="ignore"):
        rates = config.lr * shape
    if not np.isfinite(rates).all() or not rates.any():
        what = "finite" if rates.any() else "above 0"
        raise ValueError(f"lr must be such that the rates are {what}, got {config.lr:g} with a schedule whose peak is {peak:g}")
    return rates


def _checked(name, value):
    """An option's value, if its type and its limits are those of the field."""
    field = OPTIONS[name]
    limits = dict(field.metadata["limits"])
    if field.type is int:
        return _check.integer(name, value, **limits)
    if field.type is bool:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be true or false, got {value!r}")
        return bool(value)
    if field.type is float:
        below = limits.pop("below", math.inf)
        if (number := _check.real(name, value, **limits)) >= below:
            raise ValueError(f"{name} must be below {below:g}, got {value!r}")
        return number
    return _check.choice(name, value, limits["among"]) if limits else value


def make_schedule(spec: str, T: int | None = None, /, lr: float | None = None, **parameters: Any) -> tuple[np.ndarray, dict]:
    """A schedule by its name, or from a file, and what to record of it.

    Args:
        spec: as `schedules.named` takes it: a name, with parameters after a colon, or a CSV file.
        T: number of steps; may be left out for a file.
        lr: base learning rate, for parameters that are learning rates, such as final_lr.
        **parameters: of the schedule, that are not in the spec.

    Returns:
        (eta, attributes), for `configure`; a plain `warmup` is in the attributes, and not yet in eta. Another tool's schedule,
        and one whose warmup has a start, a lag or its schedule after it, has its warmup in eta, and 0 in the attributes.

    Raises:
        ValueError: for an unknown schedule or parameter (the known ones are listed), one given twice, a file of another length.

    >>> eta, attributes = make_schedule("wsd", 9, cooldown=0.4)
    >>> eta[-3:], attributes
    (array([0.75, 0.5 , 0.25]), {'scheduler': 'wsd', 'cooldown': 0.4, 'shape': 'linear', 'final': 0.0})
    """
    if "T" in parameters:
        if T is not None:
            raise ValueError(f"T must be given once, got {_check.shown(T)} and {_check.shown(parameters['T'])}")
        T = parameters.pop("T")
    name, found = schedules.parse(spec)
    if twice := sorted(found.keys() & parameters.keys()):
        raise ValueError(f"{twice[0]} must be given once, got it in the schedule {spec!r} and beside it")
    found |= parameters
    if schedules.is_file(name):
        if found:
            raise ValueError(f"a schedule from a file has no parameter {next(iter(found))!r}")
        return schedules.named(name, T), {"scheduler": Path(name).stem}
    T = _check.integer("T", T)
    if name not in schedules.NAMES or (RAMPS - _parameters(name).keys()) & found.keys():
        eta, ramp = schedules.make(name, T, found, lr), found.pop("warmup", 0)
        return eta, {"scheduler": name} | found | {"ramp_steps": warmup_steps(ramp, T), "warmup": 0}
    warmup = found.pop("warmup", None)
    eta = schedules.make(name, T, found, lr)
    attributes = {"scheduler": name} | {k: p.default for k, p in _parameters(name).items() if k != "T"} | found
    return eta, attributes if warmup is None else attributes | {"warmup": warmup_steps(warmup, T)}


def run_name(config: Config) -> str:
    """A run's name by its config: model, schedule, rate, steps, seed, and whatever is not as usual.

    >>> eta, about = make_schedule("wsd", 800)
    >>> run_name(configure(eta, about, lr=1e-3, batch=16)[0])
    'nano-wsd-0.2-linear-lr0.001-800-seed0-batch16'
    """
    scheduler, *parameters = config.schedule.items()
    family = _parameters(scheduler[1]) if scheduler[1] in schedules.NAMES else None
    parts = [config.preset, scheduler[1]]
    for name, value in parameters:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        if name in ALWAYS_NAMED and (family is None or name in family):
            parts.append(shown)
        elif family is not None and (name not in family or value != family[name].default):  # its own, or a cooldown put on it
            parts.append(f"{name}{shown}".replace(" ", ""))
    parts += [f"lr{config.lr:g}", str(config.horizon), f"seed{config.seed}"]
    common = RECIPES[config.preset] | dataclasses.asdict(PRESETS[config.preset])
    for name in ("layers", "heads", "width", "context", "batch", "warmup"):
        if getattr(config, name) != common[name]:
            parts.append(f"{name}{getattr(config, name)}")
    return "-".join(parts if config.optimizer == "adamw" else [*parts, config.optimizer])


def _parameters(name):
    return inspect.signature(getattr(schedules, name)).parameters


def steps_for(tokens: float, preset: str, batch: int | None = None, context: int | None = None) -> int:
    """Steps that a budget of tokens makes, rounded up.

    Args:
        tokens: >= 1.
        preset: in PRESETS.
        batch, context: by default the preset's.

    Raises:
        ValueError: on a bad argument.
    """
    tokens, preset = _check.real("tokens", tokens, 1), _check.choice("preset", preset, PRESETS)
    batch = RECIPES[preset]["batch"] if batch is None else _check.integer("batch", batch)
    context = PRESETS[preset].context if context is None else _check.integer("context", context)
    return math.ceil(tokens / (batch * context))
