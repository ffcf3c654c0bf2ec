"""The statistics against SciPy and association-measures, over the whole range of counts."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import betainc, betaincinv, logit
from scipy.stats import chi2, chi2_contingency

from chalicelib.analysis import statistics

try:
    import pandas
    from association_measures import measures
except ImportError:
    measures = None
judged = pytest.mark.skipif(measures is None, reason="association-measures needs a C compiler: `make .venv/.bench`")

COUNTS = st.one_of(st.integers(0, 20), st.integers(0, 10**4), st.integers(0, 10**9))
LEVELS = st.floats(-12, math.log10(0.49)).map(lambda exponent: 10.0**exponent)
SIZES = st.one_of(st.integers(1, 20), st.integers(1, 10**4), st.integers(1, 10**9))


@st.composite
def tables(draw):
    a, b = draw(COUNTS), draw(COUNTS)
    return a, a + draw(SIZES), b, b + draw(SIZES)


@given(tables())
def test_g2_is_that_of_scipy(table):
    a, c, b, d = table
    assume(a + b > 0)
    # SciPy adds large logarithms of both signs: what it loses grows with the counts.
    loss = 1e-13 * (c + d) * max(1.0, math.log(c + d))
    expected = chi2_contingency([[a, b], [c - a, d - b]], correction=False, lambda_="log-likelihood").statistic
    found = statistics.g2(a, c, b, d)
    assert abs(found) == pytest.approx(expected, rel=1e-9, abs=max(1e-9, loss))
    assert found == 0 or (found > 0) == (a * d > b * c)
    assert statistics.p_value(found) == pytest.approx(chi2.sf(abs(found), 1), rel=1e-9, abs=1e-300)


@given(SIZES, SIZES, LEVELS)
def test_the_beta_quantile_is_that_of_scipy(a, b, p):
    x = float(betaincinv(a, b, p))
    assume(1e-290 < x < 1 - 1e-5)  # nearer to 1, SciPy's answer has too few digits left to say where it is
    # A quantile of a few digits less than a double has: what SciPy's own distribution function says of its answer.
    assume(abs(float(betainc(a, b, x)) / p - 1) < 1e-9)
    assert statistics.logit_of_lower_beta(p, a, b) == pytest.approx(float(logit(x)), rel=1e-9, abs=1e-9)


@given(tables(), st.sampled_from([1, 10, 10_000]), st.sampled_from([0.05, 0.001]))
def test_lrc_is_the_end_of_the_exact_interval(table, tests, alpha):
    a, c, b, d = table
    if a * d < b * c:
        a, c, b, d = b, d, a, c
    assume(a > 0)
    lower = float(betaincinv(a, b + 1, alpha / tests / 2))
    assume(0 < lower < 1 - 1e-5)
    expected = max(0.0, math.log2(d / c) + float(logit(lower)) / math.log(2))
    assert statistics.lrc(a, c, b, d, alpha=alpha, tests=tests) == pytest.approx(expected, rel=1e-9, abs=2e-8)


@judged
@given(tables(), st.sampled_from([1, 10, 10_000]))
def test_lrc_is_that_of_association_measures(table, tests):
    a, c, b, d = table
    assume(a > 0 and a * d >= b * c)  # its upper bound is a quantile at 1 less the level, which loses digits
    frame = pandas.DataFrame(
        {"O11": [a], "O12": [c - a], "O21": [b], "O22": [d - b], "R1": [c], "R2": [d]}, dtype=float
    )
    # Its level is 0.001 where none is given.
    expected = float(measures.conservative_log_ratio(frame, alpha=0.05, vocab=tests).iloc[0])
    assume(math.isfinite(expected) and betaincinv(a, b + 1, 0.025 / tests) < 1 - 1e-5)
    assert statistics.lrc(a, c, b, d, tests=tests) == pytest.approx(expected, rel=1e-9, abs=2e-8)


@judged
@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_association_is_that_of_association_measures(o, only_x, only_y, neither):
    fx, fy, n = o + only_x, o + only_y, o + only_x + only_y + neither
    frame = pandas.DataFrame({"O11": [o], "O12": [only_x], "O21": [only_y], "O22": [neither]}, dtype=float)
    frame["E11"], frame["E12"] = fx * fy / n, fx * (n - fy) / n
    frame["E21"], frame["E22"] = (n - fx) * fy / n, (n - fx) * (n - fy) / n
    frame["R1"], frame["R2"], frame["C1"], frame["C2"], frame["N"] = fx, n - fx, fy, n - fy, n
    assert statistics.pair_g2(o, fx, fy, n) == pytest.approx(
        float(measures.log_likelihood(frame).iloc[0]), rel=1e-6, abs=1e-7 * math.log(n) * n**0.5
    )
    dice = float(measures.dice(frame).iloc[0])
    assert statistics.log_dice(o, (fx, fy)) == pytest.approx(14 + math.log2(dice), abs=1e-9)
    # Its mutual information is a decimal logarithm.
    mutual = float(measures.mutual_information(frame).iloc[0]) / math.log10(2)
    assert statistics.pmi(o, (fx, fy), n) == pytest.approx(mutual, rel=1e-9, abs=1e-9)
    walter = float(measures.log_ratio(frame, discounting="Walter1975").iloc[0])
    assert statistics.log_ratio(o, fx, only_y, n - fx) == pytest.approx(walter, rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 1000)), min_size=2, max_size=30))
def test_dispersions_stay_in_their_range(parts):
    frequencies = [min(f, w) for f, w in parts]
    sizes = [w for _, w in parts]
    assume(sum(frequencies))
    rates = [f / w for f, w in zip(frequencies, sizes, strict=True)]
    assert 0 <= statistics.juilland_d(sum(rates), sum(r * r for r in rates), len(rates)) <= 1
    logs = sum(f * math.log2(f / w) for f, w in zip(frequencies, sizes, strict=True) if f)
    assert statistics.d_kl(logs, sum(frequencies), sum(sizes)) >= 0
