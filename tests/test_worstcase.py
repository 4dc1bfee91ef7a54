import numpy as np
import pandas as pd
import pytest

from lastiterate import bounds, schedules, worstcase


@pytest.mark.parametrize("T", [5, pytest.param(20, marks=pytest.mark.slow), pytest.param(40, marks=pytest.mark.slow)])
def test_linear_decay_guarantee_is_tight(T):
    gamma, G, D = 0.7 / np.sqrt(T), 2.0, 3.0
    eta = gamma * (1 - np.arange(1, T + 1) / T)
    eta[-1] = 1.0  # moves nothing: x_T is reached before
    assert worstcase.exact(eta, G, D) == pytest.approx(D**2 / (2 * gamma * T) + gamma * G**2 / 2, rel=1e-6)


@pytest.mark.slow
def test_refined_guarantee_is_tight_for_any_norms():
    T, D = 12, 3.0
    G = np.random.default_rng(0).random(T) + 0.3
    w = G**-2.0
    eta = D / np.sqrt(np.sum(w**2 * G**2)) * w * (w.sum() - np.cumsum(w)) / w.sum()
    assert worstcase.exact(eta, G, D) == pytest.approx(D / np.sqrt(w.sum()), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_never_above_the_bound_for_random_schedules(seed):
    rng = np.random.default_rng(seed)
    T = int(rng.integers(1, 7))
    eta, G = rng.uniform(0.05, 1, T), rng.uniform(0.5, 2, T)
    exact = worstcase.exact(eta, G, 1.5)
    assert exact <= bounds.omega(eta, G, 1.5, horizons=T) * (1 + 1e-7)
    assert exact > 0.1 * G[-1] * 1.5 / T, "a linear function alone does that"


def test_one_step_is_the_lipschitz_bound():
    assert worstcase.exact(np.array([0.3]), G=2.0, D=3.0) == pytest.approx(6.0, rel=1e-6)


def test_the_last_step_moves_nothing():
    eta = schedules.wsd(5, 0.4)
    changed = np.append(eta[:-1], 10.0)
    assert worstcase.exact(changed) == pytest.approx(worstcase.exact(eta), rel=1e-7)


def test_committed_table(repository):
    table = pd.read_csv(repository / "data" / "worstcase.csv")
    assert len(table) == 66
    for (name, T), rows in table.groupby(["schedule", "T"]):
        eta = getattr(schedules, name)(T)
        lr = bounds.optimal_lr(eta)[0]
        assert rows["lr"].to_numpy() == pytest.approx(lr, rel=1e-8)
        assert np.all(rows["exact"] <= bounds.omega(lr * eta, horizons=rows["t"].to_numpy()) * (1 + 1e-7)), name


def test_table_goes_on_where_it_stopped(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    cases = [("linear", schedules.linear(4), [1, 4])]
    first = worstcase.table(path, cases)
    monkeypatch.setattr(worstcase, "exact", lambda *_: pytest.fail("solved again"))
    pd.testing.assert_frame_equal(worstcase.table(path, cases), first)


def test_table_keeps_other_cases_and_what_an_interruption_left(tmp_path, monkeypatch):
    path, solved = tmp_path / "table.csv", []

    def exact(eta):
        if len(solved) == 3:
            raise KeyboardInterrupt
        solved.append(eta.size)
        return float(eta.size)

    monkeypatch.setattr(worstcase, "exact", exact)
    worstcase.table(path, [("linear", schedules.linear(4), [1, 4])])
    with pytest.raises(KeyboardInterrupt):
        worstcase.table(path, [("linear", schedules.linear(5), [1, 2, 5])])
    assert pd.read_csv(path)[["T", "t"]].to_numpy().tolist() == [[4, 1], [4, 4], [5, 1]]


def test_tightened_bound_lies_between_the_exact_worst_case_and_omega():
    rng = np.random.default_rng(11)
    looser = 0
    for _ in range(40):
        T = int(rng.integers(1, 7))
        eta, G, D = rng.uniform(0.02, 1.0, T) ** rng.choice([1, 3]), rng.uniform(0.5, 2.0, T), rng.uniform(0.5, 2.0)
        omega, tight = bounds.omega(eta, G, D, T), bounds.tightened_omega(eta, G, D)
        assert worstcase.exact(eta, G, D) <= tight * (1 + 1e-5) and tight <= omega * (1 + 1e-12)
        looser += tight < 0.99 * omega
    assert looser > 10


GARBAGE = {
    "empty": b"",
    "other columns": b"step,loss\n1,2.0\n",
    "one column more": b"schedule,T,t,lr,exact,mine\nwsd,4,1,0.1,0.2,7\n",
    "columns in another order": b"T,schedule,t,lr,exact\n4,wsd,1,0.1,0.2\n",
    "words": b"schedule,T,t,lr,exact\nwsd,four,1,0.1,0.2\n",
    "not a number": b"schedule,T,t,lr,exact\nwsd,4,1,0.1,nan\n",
    "a row cut off": b"schedule,T,t,lr,exact\nwsd,4,1\n",
    "binary": bytes(range(256)),
    "NUL": b"schedule,T,t,lr,exact\nwsd\0,4,1,\0,0.2\n",
    "a long field": b"schedule,T,t,lr,exact\n" + b"w" * 200_000 + b",4,1,0.1,0.2\n",
    "UTF-16": "schedule,T,t,lr,exact\n".encode("utf-16"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_file_that_is_no_such_table_is_left_alone(tmp_path, monkeypatch, name):
    path = tmp_path / "mine.csv"
    path.write_bytes(GARBAGE[name])
    monkeypatch.setattr(worstcase, "exact", lambda *_: pytest.fail("solved before looking"))
    with pytest.raises(ValueError, match=r"path must be a table of worst cases.* is not one") as error:
        worstcase.record(path)
    assert "\n" not in str(error.value) and path.read_bytes() == GARBAGE[name]


def test_paths_that_are_no_csv_file(tmp_path):
    for path, message in (
        (tmp_path, "the folder"),
        (tmp_path / "x.txt", "ends in .csv"),
        (None, "path must be a path, got None"),
    ):
        with pytest.raises(ValueError, match=message):
            worstcase.record(path)


def test_the_committed_cases_are_those_of_the_committed_table(repository, monkeypatch, tmp_path):
    monkeypatch.setattr(worstcase, "exact", lambda *_: pytest.fail("solved again"))
    copy = tmp_path / "worstcase.csv"
    copy.write_bytes((repository / "data" / "worstcase.csv").read_bytes())
    assert len(worstcase.record(copy, progress=False)) == 66
    assert copy.read_bytes() == (repository / "data" / "worstcase.csv").read_bytes()


@pytest.mark.parametrize("scale", [1e-200, 1e-60, 1e60, 1e150])
def test_any_scale(scale):
    eta = 0.3 * schedules.linear(4)
    expected = worstcase.exact(eta)
    assert worstcase.exact(eta / scale, G=scale) == pytest.approx(expected * scale, rel=1e-6, abs=0)
    assert worstcase.exact(eta * scale, D=scale) == pytest.approx(expected * scale, rel=1e-6, abs=0)
    huge = worstcase.exact(eta * 1e60)  # then D is nothing beside a step
    assert huge == pytest.approx(1e20 * worstcase.exact(eta * 1e40), rel=1e-6)
    with pytest.raises(ValueError, match="which float64 cannot hold"):
        worstcase.exact(eta, G=1e200, D=1e200)
