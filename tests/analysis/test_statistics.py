"""The statistics against worked examples: of the literature, and of R's corpora, tlda and UCREL's calculator."""

import math

import pytest

from chalicelib.analysis import statistics

# a, c, b, d: G² of four cells, Walter's log ratio, LRC, LRC corrected for 10,000 tests.
COMPARISONS = [
    ((7, 1000, 2, 1000), 2.954494, 1.584963, 0.0, 0.0),
    ((20, 1000, 5, 2000), 23.185311, 2.897760, 1.542780, 0.011901),
    ((10, 1000, 0, 1000), 13.913195, 4.392317, 1.164478, 0.0),
    ((0, 1000, 10, 1000), -13.913195, -4.392317, -1.164478, 0.0),
    ((1, 1000, 0, 10**6), 13.818509, 11.550026, 4.680382, 0.0),
    ((7, 15334, 113, 176664), -0.829802, -0.393499, 0.0, 0.0),
]


@pytest.mark.parametrize(("table", "g2", "log_ratio", "lrc", "corrected"), COMPARISONS)
def test_a_comparison_has_the_published_values(table, g2, log_ratio, lrc, corrected):
    assert statistics.g2(*table) == pytest.approx(g2, abs=5e-7)
    assert statistics.log_ratio(*table) == pytest.approx(log_ratio, abs=5e-7)
    assert statistics.lrc(*table) == pytest.approx(lrc, abs=5e-7)
    assert statistics.lrc(*table, tests=10_000) == pytest.approx(corrected, abs=5e-7)


@pytest.mark.parametrize(("g2", "p"), [(3.841459, 0.05), (6.634897, 0.01), (10.827566, 0.001), (-15.136705, 0.0001)])
def test_the_critical_values_have_their_levels(g2, p):
    assert statistics.p_value(g2) == pytest.approx(p, rel=1e-6)


def test_exchanging_the_texts_turns_every_sign():
    for (a, c, b, d), *_ in COMPARISONS:
        for measure in (statistics.g2, statistics.log_ratio, statistics.lrc):
            assert measure(b, d, a, c) == pytest.approx(-measure(a, c, b, d), rel=1e-12)


def test_equal_rates_score_nothing_and_no_score_is_a_negative_zero():
    for table in ((5, 100, 50, 1000), (0, 10, 0, 7), (10, 10, 7, 7), (3, 10**9, 3, 10**9)):
        scores = statistics.g2(*table), statistics.lrc(*table)
        assert [str(score) for score in scores] == ["0.0", "0.0"]
    assert str(statistics.lrc(1, 1000, 2, 1000)) == "0.0"


def test_a_word_of_one_text_alone_has_finite_scores():
    for table in ((10, 10, 0, 5), (0, 5, 10, 10), (10**9, 10**9, 0, 1), (1, 1, 0, 10**9)):
        assert all(math.isfinite(measure(*table)) for measure in (statistics.g2, statistics.log_ratio, statistics.lrc))


def test_more_tests_never_make_a_score_larger():
    before = math.inf
    for tests in (1, 10, 1000, 10**6, 10**9, 10**11):
        score = statistics.lrc(500, 10_000, 100, 10_000, tests=tests)
        assert 0 <= score <= before
        before = score


def test_a_pair_has_the_published_measures():
    assert measures(10, 20, 30, 1000) == pytest.approx((12.678072, 46.496606, 0.610924, 4.058894), abs=5e-7)
    # "new companies" of Manning and Schütze
    assert measures(8, 15828, 4675, 14307668) == pytest.approx((3.676453, 1.325389, 0.030300, 0.629343), abs=5e-7)


def measures(o, fx, fy, n):
    pair = (fx, fy)
    return (
        statistics.log_dice(o, pair),
        statistics.pair_g2(o, fx, fy, n),
        statistics.npmi(o, pair, n),
        statistics.pmi(o, pair, n),
    )


def test_words_that_occur_only_together_reach_the_greatest_values():
    assert statistics.log_dice(7, (7, 7)) == statistics.log_dice(7, (7, 7, 7)) == 14
    assert statistics.npmi(7, (7, 7), 1000) == pytest.approx(1)
    assert statistics.npmi(7, (7, 7, 7, 7), 1000) == pytest.approx(1)
    assert statistics.npmi(5, (5, 5), 5) == 1
    assert statistics.pair_g2(5, 5, 5, 5) == 0


def test_words_that_never_meet_reach_the_least():
    assert statistics.log_dice(0, (3, 4)) == statistics.pmi(0, (3, 4), 100) == -math.inf
    assert statistics.npmi(0, (3, 4), 100) == -1


DISPERSIONS = [  # f, w: D, D_KL
    ((0, 0, 1, 2, 5), (1000,) * 5, 0.420399, 1.023133),
    ((1, 2, 3, 4, 5), (9, 18, 20, 20, 33), 0.886596, 0.028918),
    ((3, 0, 0), (100, 200, 700), 0.0, 3.321928),
    ((2, 4, 6), (100, 200, 300), 1.0, 0.0),
    ((0, 0), (10, 20), math.nan, math.nan),
    ((3,), (10,), 1.0, 0.0),
]


@pytest.mark.parametrize(("frequencies", "sizes", "d", "d_kl"), DISPERSIONS)
def test_a_dispersion_has_the_published_values(frequencies, sizes, d, d_kl):
    rates = [f / w for f, w in zip(frequencies, sizes, strict=True)]
    found = statistics.juilland_d(sum(rates), sum(rate * rate for rate in rates), len(rates))
    assert found == pytest.approx(d, abs=5e-7, nan_ok=True)
    logs = sum(f * math.log2(f / w) for f, w in zip(frequencies, sizes, strict=True) if f)
    assert statistics.d_kl(logs, sum(frequencies), sum(sizes)) == pytest.approx(d_kl, abs=5e-7, nan_ok=True)


def test_the_beta_quantile_has_its_closed_forms():
    for p in (1e-12, 0.1, 0.5):
        assert statistics.logit_of_lower_beta(p, 1, 1) == pytest.approx(logit(p), rel=1e-13, abs=1e-13)
        assert statistics.logit_of_lower_beta(p, 7, 1) == pytest.approx(logit(p ** (1 / 7)), rel=1e-13)
        assert statistics.logit_of_lower_beta(p, 1, 9) == pytest.approx(
            logit(-math.expm1(math.log1p(-p) / 9)), rel=1e-12
        )
    assert statistics.logit_of_lower_beta(0.5, 123, 123) == pytest.approx(0, abs=1e-14)


def logit(x):
    return math.log(x / (1 - x))
