"""Speed of the batched convex suite, as ratios to a plain loop over runs, and of `refine` (`make bench`)."""

import time

import numpy as np
import torch

from lastiterate import convex, design


def plain_run(X, y, rates, rows, dtype=torch.float32):
    """One run as one would write it first: torch.optim.Adam and autograd."""
    X, y = torch.as_tensor(X, dtype=dtype), torch.as_tensor(y)
    w = torch.zeros(X.shape[1], int(y.max()) + 1, dtype=dtype, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=1.0, betas=(convex.BETA1, convex.BETA2))
    for batch, lr in zip(rows, rates.tolist(), strict=True):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(X[batch] @ w, y[batch]).backward()
        w.grad.abs().sum().item(), w.grad.norm().item()
        optimizer.step()
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(X @ w, y).item()


def compare(name, T=100, sample=12):
    """Print the time of all runs of a data set, T steps of each, beside that of a loop over them (from a sample)."""
    X, y = convex.load(name)
    seeds = list(range(convex.SEEDS))
    rates = np.concatenate([np.outer(convex.RATES, convex.schedule(s, T)) for s in convex.PLAIN])
    rows = {seed: convex.batches(len(X), T, seed) for seed in seeds}
    convex.train(X, y, rates[:, :5], seeds)
    begun = time.perf_counter()
    convex.train(X, y, rates, seeds)
    ours = time.perf_counter() - begun
    rng = np.random.default_rng(0)
    chosen = [(int(rng.integers(len(seeds))), int(rng.integers(len(rates)))) for _ in range(sample)]
    plain_run(X, y, rates[0], rows[0])
    begun = time.perf_counter()
    for s, v in chosen:
        plain_run(X, y, rates[v], rows[s])
    each = (time.perf_counter() - begun) / sample
    exact = convex.train(X, y, rates, seeds, dtype=torch.float64)["loss"]  # float32 alone differs by rounding
    error = max(abs(exact[s, v] - plain_run(X, y, rates[v], rows[s], torch.float64)) for s, v in chosen)
    runs = len(seeds) * len(rates)
    print(
        f"convex suite, {name}, {runs} runs of {T} steps: {ours:.2f} s; a loop over runs {each * runs:.0f} s: "
        f"{each * runs / ours:.0f} times faster, losses in float64 equal to {error:.0e}",
        flush=True,
    )


def main():
    print(f"\nbatched runs on {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    for name in convex.BUNDLED:
        compare(name)
    norms = np.random.default_rng(0).lognormal(size=1_000_000)
    begun = time.perf_counter()
    design.refine(norms)
    print(f"refine, 1,000,000 norms, window 0.1: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
