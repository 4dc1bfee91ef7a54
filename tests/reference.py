"""What the tests compare with: definitions written out in 40-digit arithmetic, slow and plain."""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
half = mp.mpf(1) / 2


def schedules(T):
    """{name: (our call, list of exact values)} of every schedule in the project's table."""
    from lastiterate import schedules as s

    steps = range(1, T + 1)

    def wsd(c, shape):
        n = min(int(mp.floor(mp.mpf(c) * (T + 1))), T)
        start = T + 1 - n
        return [mp.mpf(1) if t <= start else shape(mp.mpf(t - start) / n) for t in steps]

    def two_stage(switch, rho, c):
        n = min(int(mp.floor(mp.mpf(c) * (T + 1))), T)
        start = T + 1 - n
        tail = [mp.mpf(rho) * (1 if t <= start else 1 - mp.mpf(t - start) / n) for t in steps]
        return [mp.mpf(1)] * switch + tail[switch:]

    def cosine(cycle, final):
        n = int(mp.floor(mp.mpf(cycle) * (T + 1)))
        return [mp.mpf(final) + (1 - mp.mpf(final)) * half * (1 + mp.cos(mp.pi * (t - 1) / (n - 1))) for t in steps]

    linear = [mp.mpf(T + 1 - t) / T for t in steps]
    return {
        "constant": (s.constant(T), [mp.mpf(1)] * T),
        "linear": (s.linear(T), linear),
        "wsd": (s.wsd(T, 0.2), wsd(0.2, lambda x: 1 - x)),
        "wsd, c = 1": (s.wsd(T, 1.0), linear),
        "1-sqrt": (s.wsd(T, 0.6, "1-sqrt"), wsd(0.6, lambda x: 1 - mp.sqrt(x))),
        "cosine": (s.cosine(T), cosine(1, 0)),
        "cosine, cycle 1.5 to 0.1": (s.cosine(T, 0.1, 1.5), cosine(1.5, 0.1)),
        "inverse linear": (s.inverse_linear(T, 3.0), [mp.mpf(3) / (3 + t - 1) for t in steps]),
        "inverse sqrt": (s.inverse_sqrt(T), [1 / mp.sqrt(t) for t in steps]),
        "polynomial": (s.polynomial(T, 1.5), [x ** mp.mpf(1.5) for x in linear]),
        "two-stage": (s.two_stage(T, T // 3, 0.375, 0.2), two_stage(T // 3, 0.375, 0.2)),
    }


def omega(eta, G, D=1):
    """Ω_T by the double sum of Schaipp et al. 2025, Theorem 1, with exact tail sums."""
    T = len(eta)
    squares = [(e * g) ** 2 for e, g in zip(eta, G, strict=True)]
    tail, noise = [mp.mpf(0)] * (T + 1), [mp.mpf(0)] * (T + 1)
    for k in range(T - 1, -1, -1):
        tail[k], noise[k] = tail[k + 1] + eta[k], noise[k + 1] + squares[k]
    total = (mp.mpf(D) ** 2 + noise[0]) / (2 * tail[0])
    return total + half * mp.fsum(eta[k] / tail[k + 1] * noise[k] / tail[k] for k in range(T - 1))


def omega_all_directly(eta, G=1.0, D=1.0):
    """Ω_t for every t, one float64 sum with tail sums a horizon: O(T²)."""
    G = np.broadcast_to(np.asarray(G, float), eta.shape)
    values = []
    for t in range(1, eta.size + 1):
        tail = np.cumsum(eta[:t][::-1])[::-1]
        noise = eta[t - 1] * G[t - 1] ** 2 + np.sum((eta[: t - 1] * G[: t - 1]) ** 2 / tail[1:])
        values.append(D**2 / (2 * tail[0]) + 0.5 * noise)
    return np.array(values)


def omega_terms(eta, G, D):
    """(T1, T2) of floats, in exact tail sums and without bounds of the exponent."""
    eta, G, D = [mp.mpf(e) for e in eta], [mp.mpf(g) for g in G], mp.mpf(D)
    tail = [mp.fsum(eta[k:]) for k in range(len(eta))]
    noise = mp.fsum((e * g) ** 2 / a for e, g, a in zip(eta[:-1], G[:-1], tail[1:], strict=True))
    return D**2 / (2 * tail[0]), (eta[-1] * G[-1] ** 2 + noise) / 2


def average_terms(eta, G, D):
    """The same of the average iterate's bound."""
    eta, G, D = [mp.mpf(e) for e in eta], [mp.mpf(g) for g in G], mp.mpf(D)
    total = 2 * mp.fsum(eta)
    return D**2 / total, mp.fsum((e * g) ** 2 for e, g in zip(eta, G, strict=True)) / total
