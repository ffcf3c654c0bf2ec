"""``text-transform``: letters in another case, as the language of the text has it."""

import re
from unicodedata import decomposition, normalize

# What Unicode's own mapping does not do: the dotted i of Turkish and Azeri, the dot of Lithuanian under accents.
# Words get their capital (``capitalize``) without notice of the language, as in Chromium: Dutch *Ijsland*.
_UPPER = {"tr": (("i", "İ"),), "lt": (("i\u0307", "i"), ("j\u0307", "j"), ("į\u0307", "į"))}
_LOWER = {
    "tr": (("I\u0307", "i"), ("İ", "i"), ("I", "ı")),
    "lt": tuple((normalize("NFC", i + a), f"{i.lower()}\u0307{a}") for i in "IJĮ" for a in "\u0300\u0301\u0303"),
}
_UPPER["az"], _LOWER["az"] = _UPPER["tr"], _LOWER["tr"]
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff\u0300-\u036f]{1,10000}")
_HIATUS = re.compile("([\u0391-\u03c9])[\u0313\u0314]?[\u0300\u0301\u0342]([ιυ])(?!\u0308)")  # μάιος: ΜΑΪΟΣ
_ACCENTS = re.compile("[\u0300\u0301\u0313\u0314\u0342]")
_PART = re.compile(r".{1,50000}(?:\s|\Z)|.{1,50000}", re.S)  # since replacing makes a list of all words
_WORD = re.compile(r"\w[\w'’\u00ad\u0300-\u036f\u200c\u200d\u2060]*")
_ITALICS = {  # Planck's constant had its place before the other letters
    chr(int(decomposition(letter).removeprefix("<font> "), 16)): letter
    for letter in map(chr, (0x210E, *range(0x1D434, 0x1D468), *range(0x1D6A4, 0x1D6A6), *range(0x1D6E2, 0x1D71C)))
    if decomposition(letter)
}


def cased(text: str, case: str, lang: str, before: str) -> str:
    """``text`` in another case, or in MathML's italic for a single letter; a word may begin in the character before."""
    lang = lang.replace("_", "-").partition("-")[0].lower()
    if case == "uppercase":
        for small, capital in _UPPER.get(lang, ()):
            text = text.replace(small, capital)
        return (_GREEK.sub(_greek_capitals, text) if lang == "el" else text).upper()
    if case == "lowercase":
        for capital, small in _LOWER.get(lang, ()):
            text = text.replace(capital, small)
        return text.lower()
    if case == "capitalize":
        return "".join([_WORD.sub(_capital, part) for part in _PART.findall(before + text)])[len(before) :]
    letter = text.strip("\0\n")
    return text.replace(letter, _ITALICS.get(letter, letter)) if letter else text


def _greek_capitals(run: re.Match[str]) -> str:
    """Greek capitals bear no accents, but the word ή stays apart from the article η."""
    if run[0] == "ή":
        return "Ή"
    plain = _HIATUS.sub("\\1\\2\u0308", normalize("NFD", run[0]))
    return normalize("NFC", _ACCENTS.sub("", plain).upper())


def _capital(word: re.Match[str]) -> str:
    """The first letter, where it has a capital of one character; a digit or _ before it is a beginning."""
    title = word[0][0].title()
    return (title if len(title) == 1 else word[0][0]) + word[0][1:]
