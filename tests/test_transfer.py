import numpy as np
import pytest

from lastiterate import bounds, schedules, transfer

# T2: the papers' value for T1 = 4000, on a grid of 33 points
RHO = {6000: 0.625, 8000: 0.525, 10_000: 0.475, 12_000: 0.425, 14_000: 0.400, 16_000: 0.375}
FRACTION = {6000: 0.4375, 8000: 0.634, 10_000: 0.775, 12_000: 0.8875, 14_000: 0.972}


def test_ratio_is_that_of_the_best_rates_and_inverts():
    a, b = schedules.wsd(6400, 0.2), schedules.linear(6400)
    assert np.log(transfer.lr_ratio(a, b)) == pytest.approx(0.665, abs=5e-4)
    assert transfer.lr_ratio(a, b) * transfer.lr_ratio(b, a) == pytest.approx(1, rel=1e-13)
    assert transfer.lr_ratio(a, b, G=7.0) == pytest.approx(transfer.lr_ratio(a, b), rel=1e-13)
    G = np.linspace(1, 2, 6400)
    assert transfer.lr_ratio(a, b, G) == pytest.approx(bounds.optimal_lr(b, G)[0] / bounds.optimal_lr(a, G)[0], rel=1e-13)


@pytest.mark.parametrize(("T2", "grid"), RHO.items())
def test_extend_rate_solves_and_matches_the_papers_grid(T2, grid):
    rho = transfer.extend_rate(4000, T2)
    assert abs(rho - grid) <= 0.0125
    tuned = bounds.optimal_lr(schedules.wsd(4000))[0]
    assert bounds.optimal_lr(schedules.two_stage(T2, 3200, rho))[0] == pytest.approx(tuned, rel=1e-10)


def test_extend_rate_is_the_larger_root():
    tuned = bounds.optimal_lr(schedules.wsd(4000))[0]
    rho = transfer.extend_rate(4000, 8000)
    for above in np.linspace(rho + 1e-3, 1, 50):
        assert bounds.optimal_lr(schedules.two_stage(8000, 3200, above))[0] < tuned


@pytest.mark.parametrize("seed", range(10))
def test_extend_rate_finds_the_larger_root_that_a_fine_grid_shows_and_no_other(seed):
    rng = np.random.default_rng(seed)
    T1 = int(rng.integers(1, 40))
    T2 = int(T1 * 10 ** rng.uniform(0, 2)) + 1
    cooldown, grid = rng.choice([0.0, 0.2, rng.uniform(0, 0.99)]), np.geomspace(1, 1e-4, 1001)
    switch = int(np.floor((1 - cooldown) * T1 + 1e-9))
    tuned = bounds.optimal_lr(schedules.wsd(T1, cooldown))[0]
    best = np.array([bounds.optimal_lr(schedules.two_stage(T2, switch, rho, cooldown))[0] for rho in grid])
    if not (best >= tuned).any():
        with pytest.raises(ValueError, match="T2 must be shorter"):
            transfer.extend_rate(T1, T2, cooldown)
    else:
        first = int(np.argmax(best >= tuned))
        assert grid[first] <= transfer.extend_rate(T1, T2, cooldown) <= grid[max(first - 1, 0)]


@pytest.mark.parametrize(("T1", "T2"), [(2, 10**6), (3, 10**5), (10, 10**6), (1, 10**5), (50, 2 * 10**5)])
def test_extend_rate_of_a_short_run_by_much(T1, T2):
    rho = transfer.extend_rate(T1, T2)
    schedule = schedules.two_stage(T2, int(np.floor(0.8 * T1 + 1e-9)), rho)
    assert bounds.optimal_lr(schedule)[0] == pytest.approx(bounds.optimal_lr(schedules.wsd(T1))[0], rel=1e-9)


@pytest.mark.parametrize(("T2", "rho"), [(6000, 0.6367386468173), (8000, 0.5329938501597), (16_000, 0.3753890048193)])
def test_known_rates(T2, rho):
    assert transfer.extend_rate(4000, T2) == pytest.approx(rho, rel=1e-11)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e120, 1e300])
def test_ratio_at_any_scale(scale):
    a, b = schedules.wsd(400, 0.2), schedules.linear(400)
    ratio = transfer.lr_ratio(a, b)
    assert transfer.lr_ratio(scale * a, scale * b) == pytest.approx(ratio, rel=1e-12)
    assert transfer.lr_ratio(a, scale * b) == pytest.approx(ratio / scale, rel=1e-12, abs=0)
    assert transfer.lr_ratio(a, b, scale * np.ones(400)) == pytest.approx(ratio, rel=1e-12)
    with pytest.raises(ValueError, match=r"the ratio is about 1e.* which float64 cannot hold"):
        transfer.lr_ratio(1e-300 * a, 1e300 * b)


@pytest.mark.parametrize(("T2", "grid"), FRACTION.items())
def test_extend_cooldown_solves_and_matches_the_papers_grid(T2, grid):
    fraction = transfer.extend_cooldown(4000, T2)
    assert abs(fraction - grid) <= 0.0141
    tuned = bounds.optimal_lr(schedules.wsd(4000))[0]
    at, one_more = (bounds.optimal_lr(schedules.wsd(T2, c))[0] for c in (fraction, fraction + 1 / (T2 + 1)))
    assert at <= tuned <= one_more


def test_nothing_to_extend():
    assert transfer.extend_rate(4000, 4000) == 1.0
    assert transfer.extend_cooldown(4000, 4000, 0.3) == 0.3


@pytest.mark.parametrize(("T1", "T2", "cooldown"), [(400, 401, 0.006), (100, 101, 0.02), (1000, 1001, 0.0), (50, 60, 0.5)])
def test_extend_cooldown_stays_between_the_old_fraction_and_one(T1, T2, cooldown):
    assert cooldown <= transfer.extend_cooldown(T1, T2, cooldown) <= 1


def test_fractions_count_the_steps_that_are_meant():
    assert np.sum(schedules.wsd(99, 0.29) < 1) == 28, "29 steps, counted from a first one at the full rate"
    assert np.argmin(schedules.two_stage(8000, 800, transfer.extend_rate(4000, 8000, 0.8), 0.8) == 1) == 800


def test_too_long_for_any_cooldown():
    with pytest.raises(ValueError, match="T2 must be shorter"):
        transfer.extend_cooldown(4000, 40_000)


def test_rho_depends_on_the_ratio_of_horizons():
    assert transfer.extend_rate(2000, 6000) == pytest.approx(transfer.extend_rate(20_000, 60_000), abs=5e-3)


def test_fit_lr_finds_the_minimum_of_the_bounds_own_sweep():
    t1, t2 = bounds.omega_terms(schedules.wsd(400))
    lr = np.geomspace(0.02, 0.2, 6)
    best, lowest, (A, B, C) = transfer.fit_lr(np.repeat(lr, 2), np.repeat(t1 / lr + lr * t2, 2))
    assert (best, lowest) == pytest.approx(bounds.optimal_lr(schedules.wsd(400)), rel=1e-8)
    assert pytest.approx((t1, t2), rel=1e-8) == (A, B) and pytest.approx(0, abs=1e-9) == C


def test_fit_lr_refuses_a_sweep_that_does_not_reach_the_best_rate():
    with pytest.raises(ValueError, match="lr must reach to both sides of the best rate"):
        transfer.fit_lr([1e-3, 2e-3, 4e-3], [3.0, 2.0, 0.5])
    with pytest.raises(ValueError, match="lr must have at least three different positive rates"):
        transfer.fit_lr([1e-3, 2e-3, 2e-3], [3.0, 2.0, 2.5])
    with pytest.raises(ValueError, match="loss must be 3 finite numbers"):
        transfer.fit_lr([1e-3, 2e-3, 3e-3], [3.0, np.nan, 2.5])


@pytest.mark.parametrize(("exponent", "ratio"), [(0.1, 1.36), (0.24, 1.61), (0.4, 1.83), (0.5, 1.95), (0.65, 2.08), (0.8, 2.20)])
def test_ratio_for_a_measured_exponent(exponent, ratio):
    a, b = schedules.wsd(8000, 0.2), schedules.linear(8000)
    assert transfer.lr_ratio(a, b, exponent=exponent) == pytest.approx(ratio, abs=0.006)
    G = np.arange(1.0, 8001) ** (exponent - 0.5)
    assert transfer.lr_ratio(a, b, exponent=exponent) == pytest.approx(transfer.lr_ratio(a, b, G), rel=1e-13)


@pytest.mark.parametrize(
    ("exponent", "double", "four"), [(0.24, 0.691, 0.576), (0.4, 0.589, 0.444), (0.5, 0.533, 0.375), (0.65, 0.457, 0.288)]
)
def test_lowered_rate_for_a_measured_exponent(exponent, double, four):
    assert transfer.extend_rate(5000, 10_000, exponent=exponent) == pytest.approx(double, abs=5e-4)
    assert transfer.extend_rate(5000, 20_000, exponent=exponent) == pytest.approx(four, abs=5e-4)


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.7, 1.0, 1.4])
@pytest.mark.parametrize(("T1", "T2", "cooldown"), [(500, 700, 0.2), (300, 1000, 0.4), (40, 41, 0.0), (7, 9, 0.5)])
def test_what_keeps_the_best_rate_solves_its_equation_for_any_exponent(T1, T2, cooldown, exponent):
    def best(eta):
        return bounds.optimal_lr(eta, transfer.assumed_norms(eta.size, exponent))[0]

    tuned, switch = best(schedules.wsd(T1, cooldown)), int(np.floor((1 - cooldown) * T1 + 1e-9))
    grid = np.linspace(1, 1e-3, 400)
    above = np.array([best(schedules.two_stage(T2, switch, rho, cooldown)) >= tuned for rho in grid])
    if above.any():
        rho, first = transfer.extend_rate(T1, T2, cooldown, exponent), int(np.argmax(above))
        assert grid[first] <= rho <= grid[max(first - 1, 0)], "the larger root"
        assert rho == 1 or best(schedules.two_stage(T2, switch, rho, cooldown)) == pytest.approx(tuned, rel=1e-9)
    else:
        with pytest.raises(ValueError, match="T2 must be shorter"):
            transfer.extend_rate(T1, T2, cooldown, exponent)
    if best(schedules.wsd(T2, 1.0)) >= tuned:
        fraction = transfer.extend_cooldown(T1, T2, cooldown, exponent)
        at, more = (best(schedules.wsd(T2, min(c, 1.0))) for c in (fraction - 1 / (T2 + 1), fraction + 1 / (T2 + 1)))
        assert fraction == cooldown or (at <= tuned * (1 + 1e-9) and tuned <= more * (1 + 1e-9))


@pytest.mark.parametrize("exponent", [0.1, 0.24, 0.5, 0.9])
def test_the_bounds_own_sweeps_have_the_exponent_that_was_assumed(exponent):
    rows = []
    for T in (2000, 8000, 32_000):
        T1, T2 = bounds.omega_terms(schedules.wsd(T), transfer.assumed_norms(T, exponent))
        rates = np.sqrt(T1 / T2) * 2.0 ** np.arange(-2, 3)
        rows += [(lr, T, T1 / lr + lr * T2) for lr in rates]
    P, low, high = transfer.horizon_exponent(rows)
    assert pytest.approx(exponent, abs=0.01) == P and low <= P <= high and high - low < 0.01
    columns = dict(zip(("lr", "horizon", "final_val_loss"), np.array(rows).T, strict=True))
    assert transfer.horizon_exponent(columns) == (P, low, high)


def test_an_exponent_from_sweeps_that_leave_nothing_out():
    rows = [(lr, T, 10 * lr + 1e-2 / (lr * T)) for T in (1000, 4000) for lr in (2e-4, 5e-4, 2e-3)]
    P, low, high = transfer.horizon_exponent(rows)
    assert pytest.approx(0.5) == P and (low, high) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"lr": [1.0]}, "table must have the columns lr, horizon and loss, got lr"),
        ([[1.0, 2.0]], "rows of lr, horizon and loss"),
        ([(lr, 100, 10 * lr + 1e-2 / lr) for lr in (1e-3, 3e-2, 1.0)], "at least two horizons"),
        ([(lr, T, lr) for T in (1, 2) for lr in (1.0, 2.0, 3.0)], "lr must reach to both sides"),
        ([(1.0, 0.0, 1.0)], "one horizon > 0"),
        ([(1.0, 1.0, np.nan)], "one finite loss"),
    ],
)
def test_tables_that_have_no_exponent(table, words):
    with pytest.raises(ValueError, match=words):
        transfer.horizon_exponent(table)


@pytest.mark.parametrize("exponent", [np.nan, 3.0, "0.5", True, -1.1])
def test_exponents_that_are_refused(exponent):
    calls = [lambda e: transfer.assumed_norms(9, e), lambda e: transfer.extend_rate(4, 9, exponent=e)]
    calls += [lambda e: transfer.extend_cooldown(4, 9, exponent=e), lambda e: transfer.lr_ratio([1.0], [1.0, 1.0], exponent=e)]
    for call in calls:
        with pytest.raises(ValueError, match="exponent must be"):
            call(exponent)
    with pytest.raises(ValueError, match="exponent must not be given with an array G"):
        transfer.lr_ratio([1.0, 1.0], [1.0, 0.5], [1.0, 2.0], exponent=0.3)
