"""Schedules by other tools' names, step by step beside the tools themselves."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.schedules import tools
from other_tools import LR, T, forget_timm, megatron, nanogpt, optimizer, timm_classes, torchtitan

TIMM = Path(__file__).with_name("timm_1.0.31.json")  # rates that its schedulers gave, for where it is not installed

SPECS = [
    "hf.constant",
    "hf.constant_with_warmup:num_warmup_steps=7",
    "hf.linear",
    "hf.linear:num_warmup_steps=7",
    "hf.cosine:num_warmup_steps=7",
    "hf.cosine:num_warmup_steps=7,num_cycles=1.5",
    "hf.cosine_with_restarts:num_warmup_steps=7,num_cycles=3",
    "hf.polynomial:num_warmup_steps=7,power=2.0,lr_end=1e-5",
    "hf.polynomial:num_warmup_steps=0",
    "hf.inverse_sqrt:num_warmup_steps=7",
    "hf.inverse_sqrt:num_warmup_steps=0",
    "hf.inverse_sqrt:num_warmup_steps=7,timescale=20",
    "hf.cosine_with_min_lr:num_warmup_steps=7,min_lr_rate=0.1",
    "hf.cosine_with_min_lr:num_warmup_steps=7,min_lr=1e-5",
    "hf.cosine_warmup_with_min_lr:num_warmup_steps=7,min_lr_rate=0.1",
    "hf.cosine_warmup_with_min_lr:num_warmup_steps=7,min_lr=1e-5,warmup_lr_rate=0.05",
    "hf.warmup_stable_decay:num_warmup_steps=7,num_decay_steps=20",
    "hf.warmup_stable_decay:num_warmup_steps=7,num_decay_steps=20,decay_type=1-sqrt,min_lr_ratio=0.1",
    "hf.warmup_stable_decay:num_warmup_steps=7,num_decay_steps=20,decay_type=linear,warmup_type=cosine",
    "hf.warmup_stable_decay:num_warmup_steps=7,num_decay_steps=20,num_stable_steps=9,warmup_type=1-sqrt,min_lr_ratio=0.2",
    "torch.StepLR:step_size=17",
    "torch.MultiStepLR:milestones=[20,20,45],gamma=0.3",
    "torch.ConstantLR:factor=0.25,total_iters=7",
    "torch.LinearLR",
    "torch.LinearLR:start_factor=0.01,end_factor=0.5,total_iters=30",
    "torch.ExponentialLR:gamma=0.95",
    "torch.PolynomialLR:total_iters=50,power=2.0",
    "torch.CosineAnnealingLR:T_max=60",
    "torch.CosineAnnealingLR:T_max=40,eta_min=1e-5",
    "torch.CosineAnnealingWarmRestarts:T_0=13",
    "torch.CosineAnnealingWarmRestarts:T_0=7,T_mult=2,eta_min=1e-5",
    "torch.OneCycleLR:max_lr=1e-3,total_steps=60",
    "torch.OneCycleLR:max_lr=1e-3,epochs=6,steps_per_epoch=11,anneal_strategy=linear,div_factor=10.0",
    "torch.OneCycleLR:max_lr=1e-3,total_steps=60,three_phase=True,pct_start=0.25",
    "torch.CyclicLR:base_lr=1e-4,max_lr=1e-3,step_size_up=8,step_size_down=5",
    "torch.CyclicLR:base_lr=1e-4,max_lr=1e-3,step_size_up=6,mode=triangular2",
    "torch.CyclicLR:base_lr=1e-4,max_lr=1e-3,step_size_up=6,step_size_down=9,mode=exp_range,gamma=0.97",
    "optax.constant_schedule:value=3e-4",
    "optax.polynomial_schedule:init_value=3e-4,end_value=1e-5,power=2.0,transition_steps=40,transition_begin=5",
    "optax.linear_schedule:init_value=3e-4,end_value=0.0,transition_steps=50",
    "optax.cosine_decay_schedule:init_value=3e-4,decay_steps=50,alpha=0.1,exponent=1.5",
    "optax.exponential_decay:init_value=3e-4,transition_steps=10,decay_rate=0.5,transition_begin=5,end_value=1e-5",
    "optax.exponential_decay:init_value=3e-4,transition_steps=10,decay_rate=0.5,staircase=True",
    "optax.warmup_constant_schedule:init_value=1e-6,peak_value=3e-4,warmup_steps=7",
    "optax.warmup_cosine_decay_schedule:init_value=0.0,peak_value=3e-4,warmup_steps=7,decay_steps=60,end_value=1e-5",
    "optax.warmup_exponential_decay_schedule:init_value=0.0,peak_value=3e-4,warmup_steps=7,transition_steps=20,decay_rate=0.5",
    "optax.piecewise_constant_schedule:init_value=3e-4,boundaries=[20,45],scales=[0.5,0.1]",
    "optax.piecewise_interpolate_schedule:interpolate_type=cosine,init_value=3e-4,boundaries=[20,45],scales=[2.0,0.1]",
    "optax.linear_onecycle_schedule:transition_steps=60,peak_value=3e-4",
    "optax.cosine_onecycle_schedule:transition_steps=55,peak_value=3e-4,pct_start=0.25",
    "timm.cosine:t_initial=60",
    "timm.cosine:t_initial=60,lr_min=1e-5,warmup_t=7,warmup_lr_init=1e-6",
    "timm.cosine:t_initial=53,lr_min=1e-5,warmup_t=7,warmup_lr_init=1e-6,warmup_prefix=True,k_decay=0.8",
    "timm.cosine:t_initial=10,cycle_mul=2.0,cycle_decay=0.5,cycle_limit=3",
    "timm.cosine:t_initial=13,cycle_decay=0.5,cycle_limit=9",
    "timm.tanh:t_initial=60,warmup_t=7,warmup_lr_init=1e-6",
    "timm.tanh:t_initial=53,lr_min=1e-5,warmup_t=7,warmup_prefix=True",
    "timm.step:decay_t=15.0,decay_rate=0.5,warmup_t=7",
    "timm.multistep:decay_t=[20,45],decay_rate=0.3,warmup_t=7,warmup_lr_init=1e-6",
    "timm.poly:t_initial=60,power=2.0,lr_min=1e-5,k_decay=1.5",
    "timm.poly:t_initial=53,power=1.0,warmup_t=7,warmup_prefix=True",
]  # fmt: skip


def stepped(made, scheduler):
    rates = []
    for _ in range(T):
        rates.append(made.param_groups[0]["lr"])
        made.step()
        if len(rates) < T:  # OneCycleLR refuses to be stepped behind its end
            scheduler.step()
    return rates


def of_hf(name, given):
    transformers = pytest.importorskip("transformers")
    made, warmup = optimizer(), given.pop("num_warmup_steps", 0)
    return stepped(made, transformers.get_scheduler(name, made, warmup, T, scheduler_specific_kwargs=given))


def of_torch(name, given):
    if name == "CyclicLR":
        given["cycle_momentum"] = False
    made = optimizer()
    return stepped(made, getattr(torch.optim.lr_scheduler, name)(made, **given))


def of_optax(name, given):
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    if "boundaries" in given:
        given["boundaries_and_scales"] = dict(zip(given.pop("boundaries"), given.pop("scales"), strict=True))
    with jax.enable_x64(True):
        schedule = getattr(optax.schedules, name)(**given)
        return [float(schedule(jax.numpy.asarray(i))) for i in range(T)]


def of_timm(name, given):
    made = optimizer()
    scheduler = timm_classes()[name](made, t_in_epochs=False, **given)
    rates = []
    for updates in range(1, T + 1):
        rates.append(made.param_groups[0]["lr"])
        scheduler.step_update(updates)
    return rates


@pytest.fixture(autouse=True, scope="module")
def without_the_stub():
    yield
    forget_timm()


def of_the_tool(spec):
    name, given = schedules.parse(spec)
    tool, _, short = name.partition(".")
    given = {k: {"True": True, "False": False}.get(v, v) if isinstance(v, str) else v for k, v in given.items()}
    if tool == "timm" and not timm_classes():
        return json.loads(TIMM.read_text())[spec]
    return {"hf": of_hf, "torch": of_torch, "optax": of_optax, "timm": of_timm}[tool](short, given)


@pytest.mark.parametrize("spec", SPECS)
def test_step_by_step_beside_the_tool(spec):
    ours = LR * schedules.named(spec, T, LR)
    np.testing.assert_allclose(ours, of_the_tool(spec), rtol=1e-12, atol=1e-12 * LR)


def test_what_timm_gave_is_recorded():
    recorded = json.loads(TIMM.read_text())
    assert list(recorded) == [spec for spec in SPECS if spec.startswith("timm.")]
    for spec, rates in recorded.items():
        np.testing.assert_allclose(LR * schedules.named(spec, T, LR), rates, rtol=1e-12, atol=1e-12 * LR)


def test_every_schedule_of_every_tool_is_tried():
    tried = {schedules.parse(spec)[0] for spec in SPECS}
    for tool in ("hf", "torch", "optax", "timm"):
        assert {f"{tool}.{name}" for name in tools._module(tool).SCHEDULES} <= tried
    transformers = pytest.importorskip("transformers")
    theirs = {kind.value for kind in transformers.SchedulerType}
    assert theirs == {*tools._module("hf").SCHEDULES, *tools._module("hf").REFUSED}
    classes = {n for n, c in vars(torch.optim.lr_scheduler).items() if inspect.isclass(c) and n.endswith(("LR", "Restarts"))}
    others = {"LRScheduler", "_LRScheduler", "SWALR"}
    assert classes - others <= {*tools._module("torch").SCHEDULES, *tools._module("torch").REFUSED}


# --- trainers that are no packages: the definitions written out ---------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("megatron.constant:lr_warmup_iters=7,lr_warmup_init=1e-6", {"style": "constant", "W": 7, "init": 1e-6}),
        ("megatron.linear:lr_warmup_iters=7,lr_decay_iters=50,min_lr=1e-5", {"style": "linear", "W": 7, "n": 50, "low": 1e-5}),
        ("megatron.cosine:min_lr=1e-5", {"style": "cosine", "low": 1e-5}),
        ("megatron.inverse-square-root:lr_warmup_iters=7,min_lr=2e-4", {"style": "inverse-square-root", "W": 7, "low": 2e-4}),
        *(
            (
                f"WSD:lr_wsd_decay_iters=20,lr_wsd_decay_style={style},lr_warmup_iters=7,min_lr=1e-5",
                {"style": "WSD", "wsd": style, "d": 20, "W": 7, "low": 1e-5},
            )
            for style in ("linear", "cosine", "exponential", "minus_sqrt")
        ),
    ],
    ids=lambda x: x.partition(":")[0] if isinstance(x, str) else x.get("wsd", ""),
)
def test_megatron(spec, wanted):
    np.testing.assert_allclose(LR * schedules.named(spec, T, LR), [megatron(i, **wanted) for i in range(T)], rtol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "sqrt", "cosine"])
@pytest.mark.parametrize("ratio", [None, 0.3])
def test_torchtitan(kind, ratio):
    spec = f"torchtitan.{kind}:warmup_steps=7,min_lr_factor=0.1" + (f",decay_ratio={ratio}" if ratio else "")
    np.testing.assert_allclose(schedules.named(spec, T), [torchtitan(i, kind, 7, ratio, 0.1) for i in range(T)], rtol=1e-12)


def test_nanogpt():
    spec = "nanogpt.cosine:warmup_iters=7,lr_decay_iters=50,min_lr=1e-5"
    np.testing.assert_allclose(LR * schedules.named(spec, T, LR), [nanogpt(i, 7, 50, 1e-5) for i in range(T)], rtol=1e-12)
    assert (schedules.named("nanogpt.cosine:decay_lr=False", 5) == 1).all()


# --- names and units -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("CosineAnnealingLR:T_max=60", "torch.CosineAnnealingLR"),
        ("cosine_with_min_lr:min_lr_rate=0.1", "hf.cosine_with_min_lr"),
        ("transformers.linear", "hf.linear"),
        ("warmup_cosine_decay_schedule:init_value=0,peak_value=1,warmup_steps=3,decay_steps=9",
         "optax.warmup_cosine_decay_schedule"),
        ("CosineLRScheduler:t_initial=60", "timm.cosine"),
        ("WSD:lr_wsd_decay_iters=5", "megatron.WSD"),
    ],
)  # fmt: skip
def test_names_that_one_tool_has(short, full):
    assert schedules.parse(short)[0] == full and schedules.named(short, T).shape == (T,)


def test_the_warmup_and_the_cooldown_of_any_schedule_go_with_them():
    made = schedules.named("CosineAnnealingLR:T_max=51,warmup=10,join=after", T)
    np.testing.assert_array_equal(made, schedules.join(schedules.named("CosineAnnealingLR:T_max=51", 51), 10))
    made = schedules.named("StepLR:step_size=20,cooldown=0.2,shape=square", T)
    np.testing.assert_array_equal(made, schedules.cooldown(schedules.named("StepLR:step_size=20", T), 0.2, "square"))


def test_rates_of_their_own_are_divided_by_the_base_rate_or_by_their_peak():
    spec = "optax.linear_schedule:init_value=4e-4,end_value=0.0,transition_steps=60"
    assert schedules.named(spec, T)[0] == 1
    assert schedules.named(spec, T, 2e-4)[0] == pytest.approx(2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ReduceLROnPlateau", "schedule 'ReduceLROnPlateau' of torch.optim.lr_scheduler follows the losses of the run"),
        ("SequentialLR:milestones=[3]", "is made of others: for a warmup before one of them write .* warmup=STEPS,join=after"),
        ("hf.greedy", "follows the losses"),
        ("hf.cosin", "schedule of Hugging Face transformers must be one of constant, .* got 'hf.cosin'"),
        ("keras.cosine", "schedule must be one of constant, .* another tool's are written hf.cosine"),
        ("CosineAnnealingLR:eta_min=1e-5,T_max=9", "eta_min must come with the base learning rate lr"),
        ("CosineAnnealingLR", "must have a parameter 'T_max'"),
        ("CosineAnnealingLR:T_max=0", "T_max must be above 0"),
        ("CosineAnnealingLR:T_max=1.5", "T_max must be an integer >= 0, got 1.5"),
        ("hf.cosine:warmup_steps=5", "has no parameter 'warmup_steps'; it has num_warmup_steps"),
        ("hf.warmup_stable_decay:num_decay_steps=5,decay_type=square", "decay_type must be one of 'linear', 'cosine', '1-sqrt'"),
        ("hf.cosine_with_min_lr:num_warmup_steps=5", "min_lr or min_lr_rate must be given"),
        ("timm.cosine:t_initial=9,warmup_prefix=5", "warmup_prefix must be True or False, got 5"),
        ("optax.constant_schedule:value=0", "must have a positive step"),
        ("optax.constant_schedule:value=-1", "must not be negative"),
        ("torch.ExponentialLR:gamma=-2", "must not be negative"),
        ("torch.ExponentialLR:gamma=nan", "gamma must be a finite number"),
    ],
)
def test_what_is_refused(spec, message):
    with pytest.raises(ValueError, match=message) as error:
        schedules.named(spec, T)
    assert "\n" not in str(error.value)
