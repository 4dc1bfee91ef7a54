"""Schedules beside PyTorch's own, in the Hugging Face Trainer, in optax, and in files."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.optim import lr_scheduler as torchs

from lastiterate import schedules

T = 60


def torch_rates(make, steps=T, lr=1.0):
    """Rates that a PyTorch scheduler gives, step by step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize(
    ("eta", "make"),
    [
        (schedules.constant(T), lambda o: torchs.ConstantLR(o, factor=1.0)),
        (schedules.linear(T), lambda o: torchs.PolynomialLR(o, T, power=1.0)),
        (schedules.polynomial(T, 2.5), lambda o: torchs.PolynomialLR(o, T, power=2.5)),
        (schedules.cosine(T), lambda o: torchs.CosineAnnealingLR(o, T_max=T)),
        (schedules.cosine(T, final=0.1), lambda o: torchs.CosineAnnealingLR(o, T_max=T, eta_min=0.1)),
        (schedules.cosine(T, cycle=1.5), lambda o: torchs.CosineAnnealingLR(o, T_max=int(1.5 * (T + 1)) - 1)),
        (schedules.cosine_restarts(T, 13), lambda o: torchs.CosineAnnealingWarmRestarts(o, 13)),
        (schedules.cosine_restarts(T, 7, 2, 0.2), lambda o: torchs.CosineAnnealingWarmRestarts(o, 7, 2, eta_min=0.2)),
        (schedules.step(T, [20, 45], 0.3), lambda o: torchs.MultiStepLR(o, [20, 45], gamma=0.3)),
        (schedules.step(T, range(10, T, 10), 0.5), lambda o: torchs.StepLR(o, 10, gamma=0.5)),
        (schedules.exponential(T, 0.02), lambda o: torchs.ExponentialLR(o, gamma=0.02 ** (1 / T))),
        (schedules.one_cycle(T), lambda o: torchs.OneCycleLR(o, max_lr=1.0, total_steps=T + 1 - 1)),
        (
            schedules.one_cycle(T, peak=0.25, start=0.1, final=0.01, anneal="linear"),
            lambda o: torchs.OneCycleLR(o, 1.0, T, pct_start=0.25, div_factor=10, final_div_factor=10, anneal_strategy="linear"),
        ),
        (schedules.cyclic(T, 8, 5, 0.2), lambda o: torchs.CyclicLR(o, 0.2, 1.0, 8, 5, cycle_momentum=False)),
        (
            schedules.cyclic(T, 6, None, 0.1, "triangular2"),
            lambda o: torchs.CyclicLR(o, 0.1, 1.0, 6, None, "triangular2", cycle_momentum=False),
        ),
        (
            schedules.cyclic(T, 6, 9, 0.1, "exp_range", 0.97),
            lambda o: torchs.CyclicLR(o, 0.1, 1.0, 6, 9, "exp_range", gamma=0.97, cycle_momentum=False),
        ),
        (schedules.warmup(schedules.constant(T), 10), lambda o: torchs.LinearLR(o, 0.1, 1.0, total_iters=9)),
        (
            schedules.warmup(schedules.constant(T), 10, start=0.5),
            lambda o: torchs.LinearLR(o, 0.55, 1.0, total_iters=9),
        ),
    ],
)  # fmt: skip
def test_schedules_that_pytorch_has_too(eta, make):
    steps = T - 1 if "OneCycle" in str(make.__code__.co_names) else T  # it refuses to be stepped behind its last step
    np.testing.assert_allclose(eta[:steps], torch_rates(make, steps), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.exponential(5, 0.0), r"final must be a number in \(0, 1\], got 0.0"),
        (lambda: schedules.one_cycle(5, peak=0.1), r"peak must be 0 or in \[2/T, 1\)"),
        (lambda: schedules.one_cycle(20, anneal="exp"), "anneal must be one of 'cosine', 'linear'"),
        (lambda: schedules.one_cycle(1), "T must be an integer in 2..100000000, got 1"),
        (lambda: schedules.cyclic(5, 0), "up must be an integer >= 1, got 0"),
        (lambda: schedules.cyclic(5, 2, mode="square"), "mode must be one of 'triangular', 'triangular2', 'exp_range'"),
        (lambda: schedules.cosine_restarts(5, 2, 1.5), "multiple must be an integer >= 1, got 1.5"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(st.integers(2, 200), st.data())
def test_new_schedules_are_schedules(steps, data):
    spec = data.draw(st.sampled_from(["exponential", "one_cycle:peak=0", "cyclic:up=3,low=0.1", "cosine_restarts:first=4"]))
    eta = schedules.named(spec, steps)
    assert eta.shape == (steps,) and eta.min() >= 0 and eta.max() <= 1
    assert eta.max() == pytest.approx(1) or spec.startswith("cyclic")


def test_schedule_in_tokens():
    eta = schedules.cosine(50)
    np.testing.assert_allclose(schedules.at_tokens(eta, np.full(50, 7.0)), eta, rtol=1e-12)
    grown = schedules.at_tokens(schedules.linear(100), np.r_[np.ones(50), np.full(25, 2.0)])
    np.testing.assert_allclose(grown, np.r_[schedules.linear(100)[:50], schedules.linear(100)[50::2]], rtol=1e-12)
    with pytest.raises(ValueError, match="batch must be positive, got 0 at step 2"):
        schedules.at_tokens(eta, [1, 0])


# --- other libraries --------------------------------------------------------------------------------------------------


def test_optax_trains_with_the_array():
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    eta = schedules.wsd(20, 0.4)
    optimizer = optax.sgd(schedules.to_optax(eta, lr=0.5))
    w = jax.numpy.zeros(())
    state = optimizer.init(w)

    @jax.jit
    def step(w, state):
        updates, state = optimizer.update(jax.numpy.ones(()), state)
        return optax.apply_updates(w, updates), state

    seen = []
    for _ in range(22):
        before = w
        w, state = step(w, state)
        seen.append(float(before - w))
    np.testing.assert_allclose(seen, 0.5 * np.append(eta, [eta[-1]] * 2), rtol=1e-5)
    with pytest.raises(ValueError, match="lr must be a finite number > 0"):
        schedules.to_optax(eta, lr=0)


def test_hugging_face_trainer_trains_with_the_array(tmp_path):
    transformers = pytest.importorskip("transformers")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, x, labels):
            return {"loss": (self.layer(x) - labels).square().mean()}

    class Rates(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, optimizer=None, **_):
            seen.append(optimizer.param_groups[0]["lr"])

    seen, steps = [], 12
    eta = schedules.warmup(schedules.wsd(steps, 0.5), 3)
    data = [{"x": torch.ones(3), "labels": torch.ones(1)}] * 48
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=steps, per_device_train_batch_size=4, report_to=[], save_strategy="no",
        disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model, arguments, train_dataset=data, optimizers=(optimizer, schedules.to_torch(optimizer, eta)), callbacks=[Rates()]
    )
    trainer.train()
    np.testing.assert_allclose(seen, 0.02 * eta, rtol=1e-12)


# --- files and names --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(arrays(float, st.integers(1, 30), elements=st.floats(1e-300, 1)))
def test_csv_gives_the_same_array(tmp_path_factory, eta):
    path = tmp_path_factory.mktemp("csv") / "eta.csv"
    schedules.write_csv(path, eta, lr=0.1)
    np.testing.assert_array_equal(schedules.read_csv(path), eta)
    np.testing.assert_array_equal(schedules.named(str(path)), eta)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "must have a column 'eta', or one column only; it has 'a', 'b'"),
        ("step,eta\n1,1\n2,x\n", r"row 3 must have a number, got \['2', 'x'\]"),
        ("step,eta\n1\n", r"row 2 must have 2 cells, as the heading, got \['1'\]"),
        ("eta\n1,0\n0,5\n", r"row 2 must have 1 cells, as the heading, got \['1', '0'\]"),
        ("step,eta\n10,0.1\n5,1\n", "must have steps 1, 2, 3, … in this order, got '10' in row 2"),
        ("eta\n1_0\n", r"row 2 must have a number, got \['1_0'\]"),
        ("eta\n-1\n", "must not be negative"),
    ],
)
def test_files_that_are_no_schedules(tmp_path, text, message):
    path = tmp_path / "eta.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        schedules.read_csv(path)


def test_a_single_column_needs_no_heading(tmp_path):
    path = tmp_path / "eta.csv"
    path.write_text("1.0\n0.5\n")
    assert schedules.read_csv(path).tolist() == [1.0, 0.5]
    path.write_text("rates\n1.0\n0.5\n")
    assert schedules.read_csv(path).tolist() == [1.0, 0.5]
    with pytest.raises(ValueError, match=r"path must be a file name that ends in \.csv, got 'eta.txt'"):
        schedules.write_csv("eta.txt", [1.0])


@pytest.mark.parametrize("name", schedules.NAMES)
def test_every_schedule_has_a_name(name):
    needs = {"two_stage": "switch=5,rho=0.5", "step": "milestones=[5,10]", "cyclic": "up=3", "cosine_restarts": "first=5"}
    eta = schedules.named(f"{name}:{needs.get(name, '')}", 20)
    assert eta.shape == (20,)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("triangle", "schedule must be one of constant, linear"),
        ("wsd:fraction=0.2", "schedule 'wsd' has no parameter 'fraction'; it has cooldown, shape, final"),
        ("linear:power=2", "schedule 'linear' has no parameter 'power'; it has warmup, cooldown"),
        ("wsd:0.2", "schedule must look like wsd:cooldown=value"),
        ("wsd:cooldown", "schedule must look like wsd:cooldown=value"),
        ("wsd:cooldown=2", r"cooldown must be a number in \[0, 1\], got 2"),
        ("step", "schedule 'step' must have a parameter 'milestones'"),
        ("nowhere.csv", "path must be a CSV file, got 'nowhere.csv'"),
    ],
)
def test_names_that_do_not_work(spec, message):
    with pytest.raises(ValueError, match=message):
        schedules.named(spec, 10)
    if spec.startswith("wsd:cooldown=2"):
        with pytest.raises(ValueError, match="T must be given"):
            schedules.named("wsd")


def new(groups=1, lr=0.5):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr / 2**i} for i in range(groups)])


def rates_of(optimizer, scheduler, steps, accumulation=1):
    """Rate of each group in each step; of several micro-batches the last makes the step."""
    found = []
    for i in range(steps * accumulation):
        if i % accumulation == accumulation - 1:
            found.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
    return np.array(found)


@pytest.mark.parametrize("accumulation", [1, 8])
def test_torch_two_groups_accumulation_and_a_resume_in_the_middle(accumulation):
    T, done = 40, 13
    etas = [schedules.warmup(schedules.cosine(T), 3), schedules.wsd(T)]
    wanted = np.array([0.5, 0.25]) * np.stack(etas, axis=1)
    optimizer = new(2)
    scheduler = schedules.to_torch(optimizer, etas)
    found = [rates_of(optimizer, scheduler, done, accumulation)]
    states = optimizer.state_dict(), scheduler.state_dict()
    optimizer = new(2)
    scheduler = schedules.to_torch(optimizer, etas)
    optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    found.append(rates_of(optimizer, scheduler, T - done, accumulation))
    np.testing.assert_allclose(np.concatenate(found), wanted, rtol=1e-12)


@pytest.mark.parametrize("order", ["optimizer first", "scheduler first", "optimizer, then a new scheduler", "scheduler last"])
@pytest.mark.parametrize("horizon", [20, 40])
def test_torch_first_rate_after_a_resume_whatever_the_order(order, horizon):
    def eta(T):
        return schedules.warmup(schedules.cosine(T), 3)

    optimizer = new()
    scheduler = schedules.to_torch(optimizer, eta(20))
    rates_of(optimizer, scheduler, 8)
    mine, its = optimizer.state_dict(), scheduler.state_dict()
    optimizer = new()
    if order == "optimizer, then a new scheduler":
        optimizer.load_state_dict(mine)
    scheduler = schedules.to_torch(optimizer, eta(horizon))
    if order == "optimizer first":
        optimizer.load_state_dict(mine)
    scheduler.load_state_dict(its)
    if order == "scheduler first":
        optimizer.load_state_dict(mine)
    assert optimizer.param_groups[0]["lr"] == 0.5 * eta(horizon)[8] == scheduler.get_last_lr()[0]
    np.testing.assert_allclose(rates_of(optimizer, scheduler, 5)[:, 0], 0.5 * eta(horizon)[8:13], rtol=1e-12)


def test_torch_without_a_state_of_the_scheduler():
    eta = schedules.linear(20)
    optimizer = new()
    schedules.to_torch(optimizer, eta, last_epoch=7)
    assert optimizer.param_groups[0]["lr"] == 0.5 * eta[8]


def test_torch_schedulers_can_be_pickled_and_copied():
    optimizer = new()
    scheduler = schedules.to_torch(optimizer, schedules.linear(10))
    rates_of(optimizer, scheduler, 3)
    for again in (pickle.loads(pickle.dumps(scheduler)), copy.deepcopy(scheduler)):
        again.step()
        assert again.get_last_lr() == [0.5 * 0.6]
    torch.save(scheduler.state_dict(), io.BytesIO())


def test_torch_behind_the_end_is_said_once():
    optimizer = new()
    scheduler = schedules.to_torch(optimizer, schedules.linear(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates_of(optimizer, scheduler, 3)
    with pytest.warns(UserWarning, match="step 4 is behind the schedule's 3: its last rate is kept") as said:
        assert rates_of(optimizer, scheduler, 4)[-1] == 0.5 / 3
    assert len(said) == 1


def test_torch_bad_input():
    for eta, message in (
        ([schedules.linear(3)] * 3, "eta must be one schedule, or one for each of the 2 parameter groups, got 3"),
        ([[1.0, -1.0], [1.0, 0.5]], "must not be negative"),
        (["linear"], "1-D array of real numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            schedules.to_torch(new(2), eta)
    with pytest.raises(ValueError, match="last_epoch must be an integer >= -1"):
        schedules.to_torch(new(), [1.0], last_epoch=-2)
    scheduler = schedules.to_torch(new(2), schedules.linear(5))
    with pytest.raises(ValueError, match="state_dict must be a scheduler's, with 'last_epoch', got one with nothing"):
        scheduler.load_state_dict({})
    with pytest.raises(ValueError, match="state_dict must be of 2 parameter groups, got one of 1"):
        scheduler.load_state_dict(schedules.to_torch(new(), [1.0]).state_dict())


def test_rates_in_a_file_are_not_taken_for_a_shape(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("lr\n0.001\n0.001\n0.0005\n")
    with pytest.raises(ValueError, match=r"rates.csv has learning rates \('lr'\), not a shape: divide them by their peak"):
        schedules.named(str(path))


@pytest.mark.parametrize("accumulation", [1, 4])
def test_accelerate_steps_the_array_once_an_update_over_a_resume(accumulation):
    accelerate = pytest.importorskip("accelerate")
    T, done, eta = 12, 5, schedules.warmup(schedules.wsd(12, 0.4), 3)

    def part(updates, states=None):
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        scheduler = schedules.to_torch(optimizer, eta)
        if states:
            scheduler.load_state_dict(states[1])
            optimizer.load_state_dict(states[0])
        model, prepared, stepper = accelerator.prepare(model, optimizer, scheduler)
        rates = []
        for micro in range(updates * accumulation):
            with accelerator.accumulate(model):
                if micro % accumulation == accumulation - 1:
                    rates.append(optimizer.param_groups[0]["lr"])
                accelerator.backward(model(torch.ones(1, 1)).sum())
                prepared.step()
                stepper.step()
                prepared.zero_grad()
        return rates, (optimizer.state_dict(), scheduler.state_dict())

    first, states = part(done)
    np.testing.assert_allclose(first + part(T - done, states)[0], 0.5 * eta, rtol=1e-12)


def test_lightning_with_accumulation_and_a_resume(tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")
    T, done, eta = 10, 4, schedules.warmup(schedules.wsd(10, 0.4), 3)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, number):
            return self.layer(batch[0]).sum()

        def on_before_optimizer_step(self, optimizer):
            seen.append(optimizer.param_groups[0]["lr"])

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedules.to_torch(optimizer, eta), "interval": "step"},
            }

    seen = []
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(40, 1)))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    quiet |= {"accumulate_grad_batches": 2, "default_root_dir": str(tmp_path), "enable_checkpointing": False}
    first = lightning.Trainer(max_steps=done, **quiet)
    first.fit(Module(), data)
    first.save_checkpoint(tmp_path / "half.ckpt")
    lightning.Trainer(max_steps=T, **quiet).fit(Module(), data, ckpt_path=str(tmp_path / "half.ckpt"), weights_only=False)
    np.testing.assert_allclose(seen, 0.5 * eta, rtol=1e-12)


def test_optax_over_a_resume_to_the_last_digit():
    jax = pytest.importorskip("jax")
    eta = schedules.warmup(schedules.wsd(20, 0.4), 3)
    with jax.enable_x64(True):
        before, after = schedules.to_optax(eta, 0.3), schedules.to_optax(eta, 0.3)
        seen = [float(before(i)) for i in range(8)] + [float(after(i)) for i in range(8, 20)]
    np.testing.assert_allclose(seen, 0.3 * eta, rtol=1e-12)
