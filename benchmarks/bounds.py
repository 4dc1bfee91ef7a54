"""Speed of the bounds, as ratios to plain baselines in the same run (`make bench`)."""

import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from lastiterate import bounds, design, schedules


def seconds(f, repeat=5):
    """Median time of a call, after one to warm up."""
    f()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def one_horizon(eta, t):
    """Ω_t of a schedule with G = D = 1 by one O(t) NumPy sum with tail sums: the plain baseline."""
    tail = np.cumsum(eta[:t][::-1])[::-1]
    return 1 / (2 * tail[0]) + 0.5 * (eta[t - 1] + np.sum(eta[: t - 1] ** 2 / tail[1:]))


def main():
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread; NumPy {np.__version__}\n")

    T = 44_000
    sample = np.linspace(1, T, 200).astype(int)
    for name in ("cosine", "wsd"):
        eta = getattr(schedules, name)(T)
        baseline = seconds(lambda eta=eta: [one_horizon(eta, t) for t in sample], repeat=3) * T / sample.size
        ours = seconds(lambda eta=eta: bounds.omega(eta), repeat=15)
        error = np.max(np.abs(bounds.omega(eta)[sample - 1] / [one_horizon(eta, t) for t in sample] - 1))
        print(
            f"all horizons, {name}, T = {T:,}: {ours * 1e3:.0f} ms; one O(T) sum a horizon {baseline:.1f} s: "
            f"{baseline / ours:.0f} times faster, largest relative difference {error:.0e}"
        )

    lengths = [10_000, 100_000, 1_000_000]
    times = [seconds(lambda T=T: bounds.omega(schedules.cosine(T)), repeat=3) for T in lengths]
    exponent = np.polyfit(np.log(lengths), np.log(times), 1)[0]
    shown = ", ".join(f"{t:.3f} s at T = {T:,}" for T, t in zip(lengths, times, strict=True))
    print(f"all horizons, cosine: {shown}: time grows like T^{exponent:.2f}")

    eta, gammas = schedules.cosine(T), np.geomspace(1e-4, 1, 1000)
    t1, t2 = bounds.omega_terms(eta)
    one = seconds(lambda: bounds.omega(eta, horizons=T), 50)
    sweep = seconds(lambda: [a / gammas + gammas * b for a, b in [bounds.omega_terms(eta)]], 50)
    known = seconds(lambda: t1 / gammas + gammas * t2, 200)
    print(f"a sweep over 1000 rates at T = {T:,}: {sweep / one:.2f} times one evaluation ({known * 1e6:.0f} µs with T1, T2)")

    recursion, conic = seconds(lambda: design.optimal(2000)), seconds(lambda: design.optimal(2000, method="clarabel"), 3)
    ratio = conic / recursion
    print(
        f"best schedule at T = 2000: {recursion * 1e3:.1f} ms by recursion, {conic:.2f} s by Clarabel: {ratio:.0f} times faster"
    )
    for T in (2000, 50_000):
        rate = bounds.optimal_lr(schedules.wsd(T // 2))[0]
        for name, options in (
            ("behind a prefix of half the run", {"prefix": np.full(T // 2, rate)}),
            ("with a cap, monotony and a warmup", {"cap": rate, "monotone": True, "warmup": T // 10}),
        ):
            time_taken = seconds(lambda T=T, options=options: design.optimal(T, **options), 3)
            gap = design.optimal(T, **options)[2]["gap"]
            print(f"best schedule {name}, T = {T:,}: {time_taken:.3f} s, relative gap of the proof {abs(gap):.0e}")


if __name__ == "__main__":
    main()
