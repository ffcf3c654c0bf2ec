"""Stop words: a list per language, chosen by measure, with repairs in ``data/stop_words.toml``."""

import json
import sys
import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import cast

from chalicelib.text import words

_FOLDER = Path(__file__).parent / "data"


@cache
def _repairs() -> dict[str, dict[str, str]]:
    return tomllib.loads((_FOLDER / "stop_words.toml").read_text(encoding="utf-8"))


@cache
def _iso() -> dict[str, list[str]]:
    return cast(dict[str, list[str]], json.loads((resources.files("stopwordsiso") / "stopwords-iso.json").read_bytes()))


def _nltk(name: str) -> list[str]:
    """NLTK's list, read where scripts/nltk_data.py puts it: loading NLTK itself costs each worker 13 MB."""
    file = Path(sys.prefix) / "share" / "nltk_data" / "corpora" / "stopwords" / name
    if not file.is_file():
        from nltk.corpus import stopwords  # looks in all of NLTK's places

        return list(stopwords.words(name))
    return file.read_text(encoding="utf-8").splitlines()


def languages() -> list[str]:
    """Codes of the languages that have a list."""
    return list(_repairs())


@lru_cache(maxsize=128)
def stop_words(code: str | None) -> frozenset[str]:
    """The stop words of a language's code, each one word by the rules, fully folded."""
    listed = _repairs().get(code or "", {})
    source, _, name = listed.get("source", "").partition(":")
    entries = _nltk(name) if source == "nltk" else _iso()[name or code or ""] if source == "iso" else []
    given = [words.prepare(entry.strip()) for entry in [*entries, *listed.get("add", "").split()]]
    # An elided form is a word only before a letter.
    given = [f"{entry}a" if entry.endswith(("'", "’")) else entry for entry in given]
    single: set[str] = set()
    for found in map(words.rules_of(code).found(given).__getitem__, given):
        parts = (found,) if isinstance(found, str) else found[0]
        if len(parts) == 1 or (parts[1:] == ("a",) and parts[0].endswith("'")):
            single.add(parts[0])
    return frozenset(map(fold, single)) - {fold(word) for word in listed.get("remove", "").split()}


def fold(word: str) -> str:
    """The word without its case, by Unicode's full folding."""
    return unicodedata.normalize("NFC", word.casefold())
