"""Statistics of words and phrases: significance, effect, association, dispersion. Pure; the standard library alone.

A comparison is the table *a of c against b of d*: a word occurs ``a`` times among the ``c`` words of one text and ``b``
times among the ``d`` of another. ``c`` and ``d`` are above 0. A score is positive where the word is relatively more
frequent in the first. Throughout, ``0 · log 0`` is 0.

An association is *o of fx, fy, n*: two words occur together ``o`` times, the first ``fx`` times as the first of a pair,
the second ``fy`` times as the second of a pair, of ``n`` pairs in all.
"""

import math
from collections.abc import Sequence

_TINY = 1e-300  # stands for 0 in the continued fraction (Lentz)
_STEPS = 200_000  # of a continued fraction; it needs about the square root of the counts


# --- one word in two texts ---


def g2(a: int, c: int, b: int, d: int) -> float:
    """Log-likelihood ratio of the four cells, with the sign of the difference.

    G² = 2 Σ O ln(O/E) over a, b and what is left of c and d. Dunning (1993), "Accurate methods for the statistics of
    surprise and coincidence"; as in R's corpora::keyness, not the two-cell form of Rayson's calculator.
    """
    total = c + d
    words = a + b
    # O - E is the same in all four cells but for its sign, and an exact fraction: no difference of large logarithms.
    difference = (a * d - b * c) / total
    if difference == 0:
        return 0.0
    first, second = c * words / total, d * words / total
    rest = total - words
    others, second_others = c * rest / total, d * rest / total
    value = 2 * (
        _deviance(a, difference, first)
        + _deviance(b, -difference, second)
        + _deviance(c - a, -difference, others)
        + _deviance(d - b, difference, second_others)
    )
    return math.copysign(value, difference)


def p_value(g2: float) -> float:
    """How likely so large a G², of either sign, is by chance: chi-squared with one degree of freedom."""
    return math.erfc(math.sqrt(abs(g2) / 2))


def log_ratio(a: int, c: int, b: int, d: int) -> float:
    """Binary logarithm of the ratio of relative frequencies, with half an occurrence added to each count.

    log2((a+½)/(c+½)) - log2((b+½)/(d+½)): Walter (1975), "The distribution of Levin's measure of attributable risk",
    Biometrika 62; finite where a count is 0, and nearly unbiased. 1 means twice as frequent.
    """
    return math.log2((a + 0.5) / (c + 0.5)) - math.log2((b + 0.5) / (d + 0.5))


def lrc(a: int, c: int, b: int, d: int, *, alpha: float = 0.05, tests: int = 1) -> float:
    """Conservative log ratio: the end nearest to 0 of the log ratio's confidence interval; 0 where that holds 0.

    Evert (2022), "Measuring keyness". The interval is Clopper and Pearson's exact one of a/(a+b), two-sided at
    ``alpha`` divided by the number of ``tests`` (Bonferroni). ``tests`` is the number of words compared, never that of
    the rows shown.
    """
    if a * d < b * c:
        return 0.0 - _lower_log_ratio(b, d, a, c, alpha / tests / 2)  # never -0.0
    return _lower_log_ratio(a, c, b, d, alpha / tests / 2)


def _lower_log_ratio(a: int, c: int, b: int, d: int, tail: float) -> float:
    """The lower bound of the log ratio, at least 0, where a word is not rarer in the first text."""
    # Most words are not significant: one value of the distribution says so, without a search for the bound. The bound
    # lies above the null hypothesis c/(c+d) where that leaves less than the tail below itself.
    if a == 0 or a * d == b * c or _log_lower_beta(c / (c + d), d / (c + d), a, b + 1) >= math.log(tail):
        return 0.0
    return max(0.0, math.log2(d / c) + logit_of_lower_beta(tail, a, b + 1) / math.log(2))


# --- words that occur together ---


def log_dice(o: int, frequencies: Sequence[int]) -> float:
    """14 + log2 of Dice's coefficient, k·o / Σf for k words; at most 14, one less for half the strength.

    Rychlý (2008), "A lexicographer-friendly association score"; for more than two words with the coefficient of
    Petrović et al. (2010), "Extending lexical association measures for collocation extraction". Does not depend on the
    size of the text. -inf where ``o`` is 0.
    """
    return 14 + math.log2(len(frequencies) * o / sum(frequencies)) if o else -math.inf


def pair_g2(o: int, fx: int, fy: int, n: int) -> float:
    """G² of a pair, signed, over the four cells of n pairs (Dunning 1993, as ``g2``)."""
    if fx == n:  # the first word is in every pair: nothing is left to compare with
        return 0.0
    return g2(o, fx, fy - o, n - fx)


def pmi(o: int, frequencies: Sequence[int], n: int) -> float:
    """Pointwise mutual information in bits, log2(o/n) - Σ log2(f/n); -inf where ``o`` is 0.

    Church and Hanks (1990); for more than two words Van de Cruys (2011), "specific correlation". Rare words lead it:
    use it with a minimum count.
    """
    if o == 0:
        return -math.inf
    return math.log2(o / n) - sum(math.log2(f / n) for f in frequencies)


def npmi(o: int, frequencies: Sequence[int], n: int) -> float:
    """PMI divided by its greatest possible value, -(k-1)·log2(o/n) for k words: 1 if they occur only together.

    Bouma (2009), "Normalized (pointwise) mutual information in collocation extraction". -1 where ``o`` is 0 and two
    words are compared; 1 where every pair is this one.
    """
    if o == 0:
        return -1.0
    if o == n:
        return 1.0
    return pmi(o, frequencies, n) / (-(len(frequencies) - 1) * math.log2(o / n))


# --- a word over the parts of a corpus ---


def juilland_d(rates: float, squares: float, parts: int) -> float:
    """Juilland's D, 1 (even) to 0: 1 - V/√(n-1), V the coefficient of variation of the relative frequencies r.

    Juilland and Chang-Rodríguez (1964), with Gries's correction for parts of unequal size: r = f/w. Taken are Σr and
    Σr², sums that can be added and subtracted. 1 for one part; nan for no occurrence.
    """
    if rates <= 0:
        return math.nan
    if parts < 2:
        return 1.0
    mean = rates / parts
    variance = max(0.0, squares / parts - mean * mean)
    return max(0.0, 1 - math.sqrt(variance) / mean / math.sqrt(parts - 1))


def d_kl(logs: float, total: int, words: int) -> float:
    """Kullback-Leibler divergence of the occurrences from the sizes, in bits, 0 (even) upwards; nan for none.

    Σ t·log2(t/w) with t = f/F, w = size/N: Gries (2024), "Frequency, dispersion, association, and keyness". Taken are
    Σ f·log2(f/size), F and N: sums that can be added and subtracted.
    """
    return max(0.0, logs / total - math.log2(total / words)) if total else math.nan


# --- special functions ---


def logit_of_lower_beta(p: float, a: float, b: float) -> float:
    """ln(x/(1-x)) for the quantile ``x`` at ``p``, at most a half: exact where ``x`` is too near 0 or 1 to be written.

    Newton's method on ln I as a function of the logit, which is concave and rises: from the left each step stops short
    of the root, and a step from the right ends left of it, so it needs no bounds.
    """
    if b == 1:  # I is x to the power of a
        logarithm = math.log(p) / a
        return logarithm - math.log(-math.expm1(logarithm))
    wanted = math.log(p)
    logit = _first_guess(p, a, b)
    for _ in range(100):
        x, y = _logistic(logit), _logistic(-logit)
        found = _log_lower_beta(x, y, a, b)
        slope = math.exp(_log_power_term(x, y, a, b) - found)  # of ln I by the logit: the density times x·y, over I
        step = (wanted - found) / slope
        logit += max(-50.0, min(50.0, step))
        if abs(step) <= 1e-14 * max(1.0, abs(logit)):
            break
    return logit


def _first_guess(p: float, a: float, b: float) -> float:
    """Near the quantile's logit: Abramowitz and Stegun 26.5.22; where that fails, the power that I begins with."""
    root = math.sqrt(-2 * math.log(p))
    normal = root - (2.515517 + root * (0.802853 + root * 0.010328)) / (
        1 + root * (1.432788 + root * (0.189269 + root * 0.001308))
    )
    if a > 1 and b > 1:
        curve = (normal * normal - 3) / 6
        h = 2 / (1 / (2 * a - 1) + 1 / (2 * b - 1))
        if h + curve > 0:
            w = normal * math.sqrt(h + curve) / h
            w -= (1 / (2 * b - 1) - 1 / (2 * a - 1)) * (curve + 5 / 6 - 2 / (3 * h))
            return math.log(a / b) - 2 * w
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return min(0.0, (math.log(p) + math.log(a) + log_beta) / a)


def _logistic(logit: float) -> float:
    if logit < 0:
        return math.exp(logit) / (1 + math.exp(logit))
    return 1 / (1 + math.exp(-logit))


def _log_lower_beta(x: float, y: float, a: float, b: float) -> float:
    """ln I_x(a, b) with ``y`` = 1 - x given too, so that neither loses digits near 0 or 1."""
    term = _log_power_term(x, y, a, b)
    if x < (a + 1) / (a + b + 2):
        return term + math.log(_fraction(x, a, b) / a)
    upper = math.exp(term) * _fraction(y, b, a) / b
    return math.log1p(-min(upper, 1 - 2**-53))


def _log_power_term(x: float, y: float, a: float, b: float) -> float:
    """ln of x^a·y^b / B(a, b), by Loader's saddle point: differences of large logarithms would cost half the digits.

    Loader (2000), "Fast and accurate computation of binomial probabilities".
    """
    if x <= 0 or y <= 0:
        return -math.inf
    n = a + b
    if min(a, b) < 1:
        return a * math.log(x) + b * math.log(y) - math.lgamma(a) - math.lgamma(b) + math.lgamma(n)
    # x^a y^b / B(a,b) = binomial probability of a among n, times a·b/n.
    difference = a * y - b * x  # a - n·x
    deviance = _deviance(a, difference, n * x) + _deviance(b, -difference, n * y)
    errors = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    return errors - deviance + 0.5 * math.log(a * b / (2 * math.pi * n))


def _deviance(observed: float, difference: float, expected: float) -> float:
    """O ln(O/E) - (O - E), given O - E exactly; without loss where the two are near (Loader's bd0)."""
    if observed == 0:
        return expected
    if abs(difference) > 0.1 * (observed + expected):
        return observed * math.log(observed / expected) - difference
    v = difference / (observed + expected)
    total = difference * v
    power = 2 * observed * v
    square = v * v
    for odd in range(3, 40, 2):
        power *= square
        if (larger := total + power / odd) == total:
            break
        total = larger
    return total


def _stirling_error(n: float) -> float:
    """ln Γ(n+1) less Stirling's formula, n ≥ 1."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    square = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function by Lentz's method; fast for x below its mean.

    Abramowitz and Stegun 26.5.8; its length grows with the square root of a and b.
    """
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _STEPS):
        place = a + 2 * m
        even = m * (b - m) * x / ((place - 1) * place)
        d = 1 + even * d
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = 1 + even / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        odd = -(a + m) * (a + b + m) * x / (place * (place + 1))
        d = 1 + odd * d
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = 1 + odd / c
        c = c if abs(c) > _TINY else _TINY
        step = c * d
        value *= step
        if abs(step - 1) < 1e-15:
            break
    return value
