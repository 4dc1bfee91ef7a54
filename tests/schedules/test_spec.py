"""Schedules as text and as files: what is taken, and what is refused in one line."""

import inspect
import time

import numpy as np
import pytest

from lastiterate import schedules
from lastiterate.schedules import families

EXAMPLE = {"two_stage": "switch=3,rho=0.5", "step": "milestones=[5]", "cyclic": "up=3", "cosine_restarts": "first=4"}


def spec(name, *more):
    parts = [part for part in (EXAMPLE.get(name, ""), *more) if part]
    return name + (":" if parts else "") + ",".join(parts)


@pytest.mark.parametrize("name", schedules.NAMES)
def test_every_family_takes_a_warmup_and_a_cooldown(name):
    T, own = 20, inspect.signature(getattr(families, name)).parameters
    plain = schedules.named(spec(name), T)
    assert np.array_equal(schedules.named(spec(name, "warmup=4"), T), schedules.warmup(plain, 4))
    assert np.array_equal(schedules.named(spec(name, "warmup=0.25"), T), schedules.warmup(plain, 5))
    if "cooldown" not in own:
        assert np.array_equal(schedules.named(spec(name, "cooldown=0.4"), T), schedules.cooldown(plain, 0.4))
        shaped = schedules.named(spec(name, "cooldown=0.4,shape=1-sqrt,warmup=2"), T)
        assert np.array_equal(shaped, schedules.warmup(schedules.cooldown(plain, 0.4, "1-sqrt"), 2))
        if "final" not in own:
            ended = schedules.named(spec(name, "cooldown=0.4,final=0.5"), T)
            assert np.array_equal(ended, schedules.cooldown(plain, 0.4, final=0.5))
            with pytest.raises(ValueError, match="final must come with a cooldown"):
                schedules.named(spec(name, "final=0.5"), T)
    with pytest.raises(ValueError, match=r"cooldown must be a number in \[0, 1\], got 1.5"):
        schedules.named(spec(name, "cooldown=1.5"), T)


@pytest.mark.parametrize("key", ["cooldown", "shape", "final", "warmup"])
def test_a_parameter_given_twice(key):
    with pytest.raises(ValueError, match=f"must have {key} once, got it twice"):
        schedules.parse(f"wsd:{key}=0.2,{key}=0.9")


HOSTILE = [
    "", ":", "wsd:cooldown", "wsd:cooldown=", "wsd:=0.2", "wsd:cooldown=0.2,", "wsd:,", "wsd:cooldown==0.2",
    "wsd:cooldown=0.2)+f(", "wsd:cooldown=0.2\0", "wsd:cooldown=" + "-" * 5000, "wsd:cooldown=" + "9" * 5000,
    "wsd:cooldown=1e400", "wsd:cooldown=nan", "wsd:cooldown=True", "wsd:cooldown=[0.2]", "wsd:" + "[" * 5000,
    "wsd:cooldown=" + "[" * 4000 + "]" * 4000, "step:milestones=" + "[" * 4000 + "]" * 4000, "step:milestones=[]",
    "step:milestones=[3,,5]", "step:milestones=[3,x]", "step:milestones=[1e400]", "step:milestones=[" + "9" * 5000 + "]",
    "cosine_restarts:first=" + "9" * 4000, "cyclic:up=" + "9" * 4000, "\0", "\0.csv", "a" * 5000 + ".csv", "x" * 100_000,
    "wsd:" + "," * 200_000, "step:" + "a=1," * 2000, "linear:warmup=-1", "linear:warmup=1.5", "linear:warmup=nan",
    "linear:warmup=21", "wsd:shape=sqrt", "wsd:__class__=1", "os.system",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_text_is_one_short_line(number):
    start = time.perf_counter()
    with pytest.raises(ValueError) as error:
        schedules.named(HOSTILE[number], 20)
    text = str(error.value)
    assert "\n" not in text and len(text) < 400 and ", ," not in text
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("given", [None, 5, b"wsd", ["wsd"], np.ones(3), True])
def test_no_text(given):
    with pytest.raises(ValueError, match="schedule must be text"):
        schedules.named(given, 20)


@pytest.mark.parametrize("T", [0, 2**63, 10**12, "10", True, 10**400])
def test_number_of_steps(T):
    with pytest.raises(ValueError, match=r"T must be an integer in 1\.\.100000000, got"):
        schedules.named("wsd", T)


FILES = {
    "long field": b"eta\n" + b"1" * 200_000 + b"\n",
    "NUL": b"eta\n1\0\n",
    "latin": "η\n1.0\n".encode("iso8859-7"),
    "binary": bytes(range(256)),
    "parquet": b"PAR1\x15\x04\x15\x10",
    "cut UTF-16": b"\xff\xfee\x00t",
    "empty": b"",
    "blank": b"\n\n\n",
    "heading alone": b"eta\n",
    "zeros": b"eta\n0\n0\n",
    "negative": b"eta\n1\n-1\n",
    "not a number": b"eta\nnan\n",
    "word": b"eta\n1\ntwo\n",
    "date": b"eta\n1\n2024-01-01\n",
    "complex": b"eta\n1\n1j\n",
    "no such column": b"step,rate\n1,1.0\n",
    "short row": b"step,eta\n1,1.0\n2\n",
    "huge": b"eta\n1e400\n",
}


@pytest.mark.parametrize("name", FILES)
def test_bad_files_are_named(tmp_path, name):
    path = tmp_path / "mine.csv"
    path.write_bytes(FILES[name])
    with pytest.raises(ValueError, match=r"mine\.csv") as error:
        schedules.named(str(path))
    assert "\n" not in str(error.value)


def test_folders_missing_files_and_other_lengths(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="got the folder"):
        schedules.named(str(tmp_path / "folder.csv"))
    with pytest.raises(ValueError, match="got the folder"):
        schedules.write_csv(tmp_path / "folder.csv", [1.0])
    with pytest.raises(ValueError, match="path must be a CSV file, got "):
        schedules.named(str(tmp_path / "no.csv"))
    for path in (None, 5, b"x.csv", [1.0]):
        with pytest.raises(ValueError, match="path must be a path, got"):
            schedules.read_csv(path)
        with pytest.raises(ValueError, match="path must be a path, got"):
            schedules.write_csv(path, [1.0])
    schedules.write_csv(tmp_path / "a.csv", [1.0, 0.5])
    with pytest.raises(ValueError, match="must have 3 rows, one a step, got 2"):
        schedules.named(str(tmp_path / "a.csv"), 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_other_programs(tmp_path, encoding):
    path = tmp_path / "a.csv"
    columns = ",".join(f"c{i}" for i in range(30))
    path.write_bytes(f"{columns},eta\r\n{columns},1.0\r\n{columns},0.5\r\n".encode(encoding))
    assert schedules.read_csv(path).tolist() == [1.0, 0.5]


@pytest.mark.parametrize("name", ["np", "compose", "_check", "wsdx", "", None, 5])
def test_make_knows_the_families_only(name):
    with pytest.raises(ValueError, match="name must be one of 'constant'"):
        schedules.make(name, 20, {})


@pytest.mark.parametrize("parameters", [None, 5, "cooldown", [("cooldown", 0.2)]], ids=repr)
def test_parameters_are_a_dict(parameters):
    with pytest.raises(ValueError, match=r"^parameters must be a dict"):
        schedules.make("wsd", 5, parameters)


@pytest.mark.parametrize("lag", [0, 1])
def test_a_schedule_after_its_warmup_or_under_it(lag):
    T, W = 30, 6
    after = schedules.named(f"cosine:warmup={W},join=after,lag={lag},start=0.1", T)
    under = schedules.named(f"cosine:warmup={W},lag={lag},start=0.1", T)
    ramp = 0.1 + 0.9 * (np.arange(1, W + lag) - lag) / W
    full = W + lag  # the first step at the full rate
    np.testing.assert_allclose(after[: full - 1], ramp, rtol=1e-14)
    assert after[full - 1] == 1
    np.testing.assert_array_equal(after[full - 1 :], schedules.cosine(T - full + 1))
    np.testing.assert_allclose(under[: full - 1], ramp * schedules.cosine(T)[: full - 1], rtol=1e-14)
    np.testing.assert_array_equal(under[full - 1 :], schedules.cosine(T)[full - 1 :])


def test_the_warmup_of_the_authors_code():
    T, W = 40, 10
    theirs = [(i / W + (1 - i / W) / 100) if i < W else 0.5 * (1 + np.cos(np.pi * (i - W) / (T - W))) for i in range(T)]
    ours = schedules.named(f"cosine:warmup={W},lag=1,start=0.01,join=after", T)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_rates_of_the_ends_in_the_units_of_the_base_rate():
    found = schedules.named("wsd:cooldown=0.3,warmup=5,start_lr=1e-5,final_lr=2e-4", 20, 1e-3)
    np.testing.assert_array_equal(found, schedules.warmup(schedules.wsd(20, 0.3, final=0.2), 5, start=0.01))
    with pytest.raises(ValueError, match="start_lr must come with the base learning rate lr"):
        schedules.named("wsd:warmup=5,start_lr=1e-5", 20)


@pytest.mark.parametrize("shape", schedules.SHAPES)
def test_cooldown_shapes_are_those_of_haegele_et_al(shape):
    n, e = 50, 0.1
    x = np.arange(n) / n
    line, wave = e + (1 - e) * (1 - x), e + (1 - e) * 0.5 * (1 + np.cos(np.pi * x))
    written = {
        "linear": line,
        "1-sqrt": e + (1 - e) * (1 - np.sqrt(x)),
        "cosine": wave,
        "mirror-cosine": 2 * line - wave,
        "square": e + (1 - e) * (1 - x**2),
        "exponential": e**x,
    }
    found = schedules.named(f"wsd:cooldown=0.5,shape={shape},final={e}", 2 * n)
    np.testing.assert_allclose(found[n:], written[shape], rtol=1e-12)
    assert (found[: n + 1] == 1).all()
