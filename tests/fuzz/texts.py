"""A generator of short texts that try every rule of NLTK's tokenizer against its neighbours."""

import random

WORDS = (
    "a I e.g i.e etc Mr Dr z.B U.S U.S.A vs Inc p.m Jan The the he He of In and word Word don't can't it's 'tis 'twas "
    "cannot Gonna wanna more'n d'ye gimme l'homme O'Neil 's 'll n't 've x y A B J 1 12 3.5 1,000 10:30 ##number## été "
    "Straße Москва т.д λόγος مرحبا bzw u.a S St. 17th 3D foo-bar a.b.c www.x.org rock'n'roll _x_ x_y İ ı K ﬁ ² ½ é"
).split()
UNSPACED = "日本語 です。 ー ไทย ๑๒๓ ๓. 〇 ລາວ ខ្មែរ မြန်မာ 「引用」 x中 中.x apt-get的 第1章 ๓)No 中国's".split()
MARKS = [
    *".....,,:;!?\"\"'''`()[]{}<>*&@#$%-/|\\~^+=_«»“”‘’„…–—―‒•·",
    *("--", "---", "..", "...", "....", "''", "``", '")', ".)", '."', ".'", "'.", "?)", '!"', ". . .", "'s.", "n't."),
    *("'s'", '--"', '"--', ")--", "'--", ".,", ",.", ",,", ":,"),
]
SPACES = [
    *([" "] * 14),
    *(["\n"] * 4),
    *("  ", "\n\n", "\t", "\r\n", "\x0b", "\x0c", "\xa0", "\xa0 ", " \xa0", "\x1c", "\x1f", "\x85", "\u2028", "\u3000"),
    *("\u2009", ""),
]
HARD = ["\ud800", "\udfff", "\x00", "\u200c", "\u200d", "\u0301", "\U0001f600", "\u1e9e"]


def text(chance: random.Random) -> str:
    """One text of 1 to 14 words with marks around them; one in fifty is repeated up to 60 times."""
    words = WORDS if chance.random() < 0.8 else WORDS + UNSPACED * 3
    marked, spaced = chance.choice([0.1, 0.3, 0.6, 0.9]), chance.choice([0.3, 0.6, 0.95])
    parts: list[str] = []
    for _ in range(chance.randint(1, 14)):
        parts += _marks(chance, marked)
        kind = chance.random()
        parts.append(chance.choice(words if kind > 0.1 else MARKS if kind > 0.02 else HARD))
        parts += _marks(chance, marked)
        if chance.random() < spaced:
            parts.append(chance.choice(SPACES))
    return "".join(parts) * (chance.randint(2, 60) if chance.random() < 0.02 else 1)


def _marks(chance: random.Random, marked: float) -> list[str]:
    marks = []
    while chance.random() < marked:
        marks.append(chance.choice(MARKS))
    return marks
