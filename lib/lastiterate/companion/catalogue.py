"""The schedules of the field guide: what each is, as a formula, who uses it, and what PyTorch calls it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from numpy.typing import NDArray

from lastiterate import schedules as s
from lastiterate.companion import style

if TYPE_CHECKING:
    import pandas as pd


class Entry(NamedTuple):
    """A schedule, `make(T)` of shape (T,), its formula, who uses it, PyTorch's scheduler, its colour in `style` if it has one."""

    make: Callable[[int], NDArray]
    formula: str
    users: str
    torch: str = "–"
    color: str = ""


SCHEDULES = {
    "constant": Entry(s.constant, "$1$", "online learning; the base of all others", "ConstantLR", "constant"),
    "linear": Entry(s.linear, "$(T+1-t)/T$", "BERT, RoBERTa; the minimax schedule", "PolynomialLR", "linear"),
    "polynomial, 2": Entry(lambda T: s.polynomial(T, 2.0), "$((T+1-t)/T)^2$", "segmentation uses power 0.9", "PolynomialLR"),
    "cosine": Entry(
        s.cosine, r"$\frac{1}{2}(1+\cos\frac{\pi(t-1)}{T})$", "image models, MoCo, ViT", "CosineAnnealingLR", "cosine"
    ),
    "cosine to 0.1": Entry(
        lambda T: s.cosine(T, final=0.1), "as above, to $0.1$", "GPT-3, Llama, Chinchilla", "CosineAnnealingLR"
    ),
    "cosine, 4 restarts": Entry(
        lambda T: s.cosine_restarts(T, T // 4), "cosine, every $T/4$", "SGDR", "CosineAnnealingWarmRestarts"
    ),
    "wsd": Entry(lambda T: s.wsd(T, 0.2), r"$1$, then linear over $0.2\,T$", "Zhai et al. 2022; Hägele et al. 2024", color="wsd"),
    "wsd, 1-sqrt": Entry(lambda T: s.wsd(T, 0.2, "1-sqrt"), r"$1$, then $1-\sqrt{x}$", "Hägele et al. 2024", color="1-sqrt"),
    "inverse sqrt": Entry(s.inverse_sqrt, r"$1/\sqrt{t}$", "theory of SGD", color="inverse_sqrt"),
    "inverse sqrt, offset": Entry(
        lambda T: s.inverse_sqrt(T, T / 10), r"$\sqrt{\beta/(\beta+t-1)}$", "the first Transformer, T5"
    ),
    "step": Entry(lambda T: s.step(T, [T // 3, 2 * T // 3, 9 * T // 10]), r"$0.1^{\#\{m<t\}}$", "ResNets", "MultiStepLR", "step"),
    "exponential": Entry(lambda T: s.exponential(T, 0.01), "$0.01^{(t-1)/T}$", "Inception", "ExponentialLR"),
    "one-cycle": Entry(s.one_cycle, "up for 0.3 T, down to 0", "super-convergence, fast.ai", "OneCycleLR"),
    "triangular": Entry(lambda T: s.cyclic(T, T // 8, low=0.1), "triangles", "cyclical rates", "CyclicLR"),
    "triangular2": Entry(
        lambda T: s.cyclic(T, T // 8, low=0.1, mode="triangular2"), "triangles, halved", "cyclical rates", "CyclicLR"
    ),
    "exp range": Entry(
        lambda T: s.cyclic(T, T // 8, low=0.1, mode="exp_range", decay=0.05 ** (1 / T)),
        "triangles, decaying",
        "cyclical rates",
        "CyclicLR",
    ),
    "warmup + linear": Entry(
        lambda T: s.warmup(s.linear(T), T // 10), r"$\min(t/W, 1)$ times", "BERT, RoBERTa, OPT", "LinearLR + …"
    ),
    "warmup + wsd": Entry(
        lambda T: s.warmup(s.wsd(T, 0.2), T // 10),
        r"$\min(t/W, 1)$ times",
        "warmup-stable-decay in full (MiniCPM: another decay)",
        "LinearLR + …",
    ),
}


def etas(T: int) -> dict[str, NDArray]:
    """{name: schedule of shape (T,)} of the whole catalogue.

    >>> etas(40)["step"][[0, 20, 39]].round(3)
    array([1.   , 0.1  , 0.001])
    """
    return {name: entry.make(T) for name, entry in SCHEDULES.items()}


def color(name: str) -> str:
    """Colour of a schedule in the field guide: its own in `style`, or grey.

    >>> color("wsd") == style.color("wsd"), color("one-cycle")
    (True, '0.3')
    """
    known = SCHEDULES[name].color
    return style.color(known) if known else "0.3"


def table() -> "pd.DataFrame":
    """Formula, users and PyTorch's scheduler, a row a schedule.

    >>> table().loc["linear", "PyTorch"]
    'PolynomialLR'
    """
    import pandas as pd

    rows = {name: (entry.formula, entry.users, entry.torch) for name, entry in SCHEDULES.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["formula", "who uses it", "PyTorch"])
