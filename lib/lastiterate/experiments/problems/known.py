"""The problems by name."""

from lastiterate.experiments.problems import cifar, detection, digits, flights, glyphs, mri, python_code, translation
from lastiterate.experiments.problems.problem import Problem

WRONG = "share of images named wrongly"

PROBLEMS = {
    "cnn": Problem(
        lambda _: digits.make("cnn"), WRONG, 1500, [3.16e-3, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16],
        seconds=4, offsets=True, evaluations=30, tuning=3,
    ),
    "vit": Problem(
        lambda _: digits.make("vit"), WRONG, 2000, [1e-3, 3.16e-3, 1e-2, 3.16e-2, 0.1],
        seconds=12, adam=True, evaluations=30, tuning=3,
    ),
    "mlm": Problem(
        lambda seed: python_code.make(seed, True, 32), "share of masked bytes filled in wrongly", 600,
        [1e-3, 3.16e-3, 1e-2, 3.16e-2], seconds=10, adam=True, evaluations=30, tuning=3,
    ),
    "overfit": Problem(
        lambda _: digits.make("overfit"), WRONG, 800, [0.01, 0.0316, 0.1, 0.316], seconds=1, evaluations=30,
        tuning=3,
    ),
    "gpt": Problem(
        lambda seed: python_code.make(seed, False, 16), "share of bytes predicted wrongly", 400,
        [1e-3, 2e-3, 4e-3, 8e-3, 0.016], seconds=7, adam=True,
    ),
    "glyphs10": Problem(lambda _: glyphs.make(10), WRONG, 500, [0.005, 0.01, 0.02, 0.04, 0.08], seconds=4),
    "glyphs100": Problem(
        lambda _: glyphs.make(100, strength=0.6), WRONG, 600, [0.01, 0.02, 0.04, 0.08, 0.16], seconds=5
    ),
    "glyphs1000": Problem(
        lambda _: glyphs.make(1000, (16, 32, 32), 64, 0.25), WRONG, 400, [0.025, 0.05, 0.1, 0.2, 0.4], seconds=6
    ),
    "translation": Problem(
        lambda _: translation.make(), "share of messages not translated exactly", 400, [2.5e-3, 5e-3, 0.01, 0.02, 0.04],
        seconds=10, adam=True, evaluations=2,
    ),
    "flights": Problem(
        lambda _: flights.make(), "1 − area under ROC", 1500, [0.01, 0.02, 0.04, 0.08, 0.16], seconds=4, adam=True
    ),
    "mri": Problem(
        lambda _: mri.make(), "1 − structural similarity", 300, [2.5e-3, 5e-3, 0.01, 0.02, 0.04], seconds=5, adam=True
    ),
    "detection": Problem(
        lambda _: detection.make(), "1 − mean average precision", 500, [2.5e-3, 5e-3, 0.01, 0.02, 0.04], seconds=5, adam=True
    ),
    "cifar10": Problem(
        lambda _: cifar.make(10), WRONG, 4000, [0.01, 0.0316, 0.1, 0.316], seconds=600, offsets=True, evaluations=30
    ),
    "cifar100": Problem(
        lambda _: cifar.make(100), WRONG, 4000, [0.01, 0.0316, 0.1, 0.316], seconds=600, offsets=True, evaluations=30
    ),
}  # fmt: skip
BUNDLED = [name for name in PROBLEMS if not name.startswith("cifar")]  # need no download
