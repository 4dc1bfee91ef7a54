"""A compact GPT trainer for any schedule: one run (`train`), or a table of them that share their first steps (`sweep`).

    config, rates = trainer.configure(schedules.wsd(400), lr=2e-3)
    trainer.train(config, rates, "run.parquet")

`config` has what a run depends on, `machine` where it is trained, `beforehand` what it will be, `model` the decoder, `step` one
step of it, `loop` the run, `checkpoint` its files, `corpora` what it is trained on; `sweep` plans many runs, and `workers` trains
them. All names below are found here; PyTorch is imported when one that needs it is first used.
"""

import importlib
from typing import Any

_HOMES = {  # in which file a name is
    "config": "PRESETS RECIPES Config Shape configure make_schedule run_name steps_for",
    "beforehand": "describe flops_per_token",
    "checkpoint": "COLUMNS checkpoint_path read_metadata state_path",
    "corpora": "PYTHON Corpus corpus hub tokenize",
    "model": "GPT",
    "step": "batch_at evaluate forget make_optimizers seconds_per_step windows",
    "loop": "Diverged train",
    "machine": "",
    "sweep": "",
    "workers": "",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"lastiterate.trainer.{_MODULES[name]}"), name)
    if name in _HOMES:
        return importlib.import_module(f"lastiterate.trainer.{name}")
    raise AttributeError(f"module 'lastiterate.trainer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES, *_HOMES]
