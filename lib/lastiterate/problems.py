"""Small deep-learning problems that train in seconds, under any schedule: figures and rows of a table that a laptop can redo.

    python -m lastiterate.problems data/problems        # all recorded runs; goes on where it was stopped

| problem | model and data | method |
| --- | --- | --- |
| cnn | two convolutions, scikit-learn's 8 x 8 digits, shifted by a pixel, with noise | SGD, momentum 0.9, batches of 16 |
| vit | two transformer blocks over 2 x 2 patches of the same | AdamW, batches of 32 |
| mlm | the layers of `model.GPT`, not causal, fill in masked bytes of Python code | AdamW, batches of 32 x 32 bytes |
| overfit | a wide network on 256 digits, which it comes to fit exactly | SGD, momentum 0.9, batches of 64 |
| cifar10, cifar100 | four convolutions with batch norm, CIFAR with random flips | SGD, momentum 0.9, batches of 128 |

The last two need a download of 170 MB each, and a GPU or patience: `--problems cifar10 cifar100` runs them.
"""

import argparse
import concurrent.futures
import functools
import itertools
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate import _check, convex, data, design, schedules
from lastiterate._files import atomic, write_atomic
from lastiterate.model import GPT, Shape

STEPS = {"cnn": 1500, "vit": 2000, "mlm": 600, "overfit": 800, "cifar10": 4000, "cifar100": 4000}
BUNDLED = ["cnn", "vit", "mlm", "overfit"]  # need no download
RATES = {  # by half decades
    "cnn": [3.16e-3, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16],
    "vit": [3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2, 0.1],
    "mlm": [1e-3, 3.16e-3, 1e-2, 3.16e-2],
    "overfit": [0.01, 0.0316, 0.1, 0.316],
    "cifar10": [0.01, 0.0316, 0.1, 0.316],
    "cifar100": [0.01, 0.0316, 0.1, 0.316],
}
POWER = {
    "cnn": 2,
    "vit": 1,
    "mlm": 1,
    "overfit": 2,
    "cifar10": 2,
    "cifar100": 2,
}  # of the refinement: l2 norms for SGD, l1 norms for AdamW
OFFSETS = [1, 5, 25, 125, 625]  # β of the 1/t and 1/√t schedules, for the image classifiers
SCHEDULES = ["flat", "step-wise", "cosine", "linear", "refined"]
NOISE, BATCH = {"cnn": 0.5, "vit": 0.3}, {"cnn": 16, "vit": 32, "overfit": 64}  # standard deviation, for pixels in [-1, 1]
SEEDS, EVALUATIONS = 3, 30
KEYS = ["problem", "schedule", "lr", "seed"]


def schedule(name, T):
    """A schedule of the suite by its name: those of `convex.schedule`, or "1/t, β = 5", "1/√t, β = 5".

    >>> schedule("1/t, β = 2", 3).round(3)
    array([1.   , 0.667, 0.5  ])
    """
    kind, _, offset = name.partition(", β = ")
    if offset:
        make = {"1/t": schedules.inverse_linear, "1/√t": schedules.inverse_sqrt}[_check.choice("name", kind, ["1/t", "1/√t"])]
        return make(T, float(offset))
    return convex.schedule(name, T)


def train(problem, rates, seed):
    """One run.

    Args:
        problem: a key of STEPS.
        rates: learning rates, shape (T,).
        seed: of weights and batches.

    Returns:
        (curve, norms): a DataFrame with `step`, `train_loss` (of the batches since the last row), `loss` and `error` (share
        of images, or of masked bytes, that are wrong) on held-out data; and the l1 and l2 norms of the gradients, shape (2, T).

    Raises:
        ValueError: for an unknown problem, or bad rates.
        data.DataError: where CIFAR cannot be downloaded.
    """
    _check.choice("problem", problem, STEPS)
    rates = _check.schedule(rates, "rates")
    torch.manual_seed(seed)
    if problem == "mlm":
        network, batch, held_out = _masked_bytes(seed)
    else:
        network, batch, held_out = _cifar(int(problem[5:])) if problem.startswith("cifar") else _digits(problem)
    parameters = list(network.parameters())
    if problem in ("vit", "mlm"):
        optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    else:
        optimizer = torch.optim.SGD(parameters, lr=1.0, momentum=0.9)
    rng, T = np.random.default_rng(seed), rates.size
    at = set(np.linspace(1, T, EVALUATIONS).round().astype(int).tolist())
    norms, rows, losses = np.empty((2, T)), [], []
    for t, lr in enumerate(rates.tolist()):
        optimizer.param_groups[0]["lr"] = lr
        loss = F.cross_entropy(*batch(network, rng))
        loss.backward()
        flat = torch.cat([p.grad.flatten() for p in parameters])
        norms[:, t] = flat.abs().sum().item(), flat.norm().item()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if t + 1 in at:
            with torch.no_grad():
                logits, target = held_out(network)
                found = F.cross_entropy(logits, target).item(), (logits.argmax(1) != target).float().mean().item()
            rows.append((t + 1, np.mean(losses), *found))
            losses = []
    return pd.DataFrame(rows, columns=["step", "train_loss", "loss", "error"]), norms


@functools.cache
def _images():
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    X, y = torch.tensor(found.images[order] / 8 - 1, dtype=torch.float32), torch.tensor(found.target[order])
    return (X[:1400], y[:1400]), (X[1400:], y[1400:])


def _digits(problem):
    (X, y), held = _images()
    if problem == "overfit":
        X, y = X[:256], y[:256]
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))
    elif problem == "cnn":
        network = nn.Sequential(
            nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip
    else:
        network = Patches()

    def seen(images, rng):  # never the same image twice: no model can fit them exactly, and the noise of the gradients stays
        return _noisy(images, rng, NOISE[problem]) if problem in NOISE else images

    def batch(network, rng):
        rows = torch.from_numpy(rng.integers(0, len(X), BATCH[problem]))
        return network(seen(X[rows], rng)), y[rows]

    copies = 8 if problem in NOISE else 1
    images, labels = seen(held[0].repeat(copies, 1, 1), np.random.default_rng(0)), held[1].repeat(copies)
    return network, batch, lambda network: (network(images), labels)


def _noisy(images, rng, sigma):
    """Each image shifted by -1, 0 or 1 pixel in both directions, with Gaussian noise on every pixel."""
    n, side, _ = images.shape
    down, right = torch.from_numpy(rng.integers(0, 3, (2, n, 1)))
    at = torch.arange(side)
    shifted = F.pad(images, (1, 1, 1, 1), value=-1.0)[
        torch.arange(n)[:, None, None], (down + at)[:, :, None], (right + at)[:, None, :]
    ]
    return shifted + sigma * torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))


def _cifar(classes):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    (X, y), held = (
        (torch.tensor(images, device=device), torch.tensor(labels, device=device)) for images, labels in data.cifar(classes)
    )
    widths = [3, 32, 64, 128, 128]
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in itertools.pairwise(widths)
    ]
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(4 * widths[-1], classes)).to(device)

    def scaled(images):
        return images.float() / 127.5 - 1

    def batch(network, rng):
        rows = torch.from_numpy(rng.integers(0, len(X), 128)).to(device)
        flipped = torch.from_numpy(rng.random(128) < 0.5).to(device).view(-1, 1, 1, 1)
        images = scaled(X[rows])
        return network(torch.where(flipped, images.flip(3), images)), y[rows]

    def held_out(network):
        network.eval()  # batch norm with the running means
        logits = torch.cat([network(scaled(part)) for part in held[0].split(1000)])
        network.train()
        return logits, held[1]

    return network, batch, held_out


def _masked_bytes(seed, batch_size=32, length=32, share=0.15):
    corpus, hidden_byte = data.corpus("python"), 256
    network = GPT(Shape(layers=2, heads=2, width=64, context=length, vocabulary=320))
    network.initialise(seed)

    def masked(shard, starts, rng):
        text = torch.from_numpy(np.stack([shard[s : s + length] for s in starts]).astype(np.int64))
        hidden = torch.from_numpy(rng.random(text.shape) < share)
        return network(text.masked_fill(hidden, hidden_byte), causal=False)[hidden], text[hidden]

    train, held = corpus.train[0], corpus.val[0]
    places = np.linspace(0, len(held) - length, 512, endpoint=False).astype(int)
    return (
        network,
        lambda _, rng: masked(train, rng.integers(0, len(train) - length, batch_size), rng),
        lambda _: masked(held, places, np.random.default_rng(0)),
    )


def _encoder(width, layers=2):
    block = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)


class Patches(nn.Module):
    """A small vision transformer: 16 patches of 2 x 2 pixels, mean over patches."""

    def __init__(self, width=32):
        super().__init__()
        self.embed, self.place = nn.Linear(4, width), nn.Parameter(0.02 * torch.randn(16, width))
        self.encoder, self.head = _encoder(width), nn.Linear(width, 10)

    def forward(self, images):
        patches = images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(-1, 16, 4)
        return self.head(self.encoder(self.embed(patches) + self.place).mean(1))


# --- all of them ------------------------------------------------------------------------------------------------------


def table(problems=BUNDLED):
    """The runs but the refined ones, as a list of (problem, schedule, lr, seed)."""
    names = {problem: [s for s in SCHEDULES if s != "refined"] for problem in problems}
    for problem in {"cnn", "cifar10", "cifar100"} & set(problems):
        names[problem] = names[problem] + [f"{kind}, β = {offset}" for kind in ("1/t", "1/√t") for offset in OFFSETS]
    return [(p, s, lr, seed) for p in problems for s in names[p] for lr in RATES[p] for seed in range(SEEDS)]


def best_lr(runs, problem, name):
    """Rate with the lowest mean held-out loss at the end."""
    chosen = runs[(runs["problem"] == problem) & (runs["schedule"] == name) & (runs["step"] == STEPS[problem])]
    return float(chosen.fillna({"loss": np.inf}).groupby("lr")["loss"].mean().idxmin())  # one that diverged is not the best


def _run(job, rates):
    torch.set_num_threads(1)
    curve, norms = train(job[0], rates, job[3])
    return curve.assign(**dict(zip(KEYS, job, strict=True)))[[*KEYS, *curve]], norms


def main(argv=None):
    """Train all runs of the problems, two at a time, and write their curves and the mean norms of linear decay."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(prog="python -m lastiterate.problems", description=main.__doc__)
    parser.add_argument("out", help="curves go to OUT.parquet, mean norms to OUT_norms.csv")
    parser.add_argument("--problems", nargs="+", choices=STEPS, default=BUNDLED, metavar="NAME", help=f"of {', '.join(STEPS)}")
    args = parser.parse_args(argv)
    for problem in set(args.problems) - set(BUNDLED):
        try:
            data.cifar(int(problem[5:]))  # now, not in each of the processes
        except data.DataError as error:
            print(f"{problem}: left out: {error}", file=sys.stderr)
            args.problems = [p for p in args.problems if p != problem]
    if not args.problems:
        return 1
    runs_file, norms_file = Path(f"{args.out}.parquet"), Path(f"{args.out}_norms.csv")
    runs = pd.read_parquet(runs_file) if runs_file.is_file() else pd.DataFrame(columns=KEYS)
    kept_norms = {}

    def work(jobs):
        nonlocal runs
        done = set(map(tuple, runs[KEYS].drop_duplicates().itertuples(index=False)))
        missing = {job: rates for job, rates in jobs.items() if job not in done}
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(_run, job, rates): job for job, rates in missing.items()}
            for i, future in enumerate(
                tqdm(concurrent.futures.as_completed(futures), total=len(futures), unit="run", disable=None)
            ):
                curve, norms = future.result()
                runs = pd.concat([runs, curve], ignore_index=True) if len(runs) else curve
                if futures[future][1] == "linear":
                    kept_norms[futures[future]] = norms
                if i % 50 == 49 or i == len(futures) - 1:
                    with atomic(runs_file) as partial:
                        runs.sort_values([*KEYS, "step"]).to_parquet(partial, index=False, compression="zstd")

    jobs, further = table(args.problems), sum(len(RATES[p]) for p in args.problems) * SEEDS
    minutes = 24 * sum(p in BUNDLED for p in args.problems) / len(BUNDLED)
    about = f"about {minutes:.0f} minutes on two cores" + (", CIFAR apart" if set(args.problems) - set(BUNDLED) else "")
    print(f"{len(jobs)} runs and {further} with refined schedules: {about}", flush=True)
    work({job: job[2] * schedule(job[1], STEPS[job[0]]) for job in jobs})
    mean = {}
    for problem in args.problems:
        T, lr = STEPS[problem], best_lr(runs, problem, "linear")
        every = [kept_norms.get((problem, "linear", lr, s)) for s in range(SEEDS)]
        found = [_run((problem, "linear", lr, s), lr * schedule("linear", T))[1] if n is None else n for s, n in enumerate(every)]
        mean[problem] = np.mean(found, axis=0)
    refined = {p: design.refine(mean[p][POWER[p] - 1], POWER[p]) for p in mean}
    work({(p, "refined", lr, s): lr * refined[p] for p in mean for lr in RATES[p] for s in range(SEEDS)})
    rows = [pd.DataFrame({"problem": p, "step": np.arange(1, n.shape[1] + 1), "l1": n[0], "l2": n[1]}) for p, n in mean.items()]
    if norms_file.is_file():  # those of other problems stay
        before = pd.read_csv(norms_file)
        rows.insert(0, before[~before["problem"].isin(mean)])
    write_atomic(norms_file, pd.concat(rows).to_csv(index=False, float_format="%.5g").encode())
    print(f"{len(runs[KEYS].drop_duplicates())} runs in {runs_file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
