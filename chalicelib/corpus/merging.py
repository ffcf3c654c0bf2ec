"""Merging: neighbouring parts become one, so that a manifest names few of them however many batches a corpus has.

Parts of like size are merged, as in a log-structured merge tree, so a row is written about as often as the number of
batches has digits. Where large ones keep small ones apart, the smallest neighbours are merged all the same as soon as
there are many parts, so that the manifest has room. The files of a merged part hold no document that does not count;
they are written anew when one of them is replaced or removed.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from chalicelib.aws import objects
from chalicelib.corpus import files, queries
from chalicelib.corpus.engine import Engine, opened
from chalicelib.store import records
from chalicelib.store.corpora import Corpus, Manifest, Part, Place, marked, marks

FANOUT = 10  # parts that are merged at once
WORDS_MOST = 3_000_000  # of a merged part, and of what one run merges: some seconds of CPU
SPARE = 64  # parts that there may be besides twice as many as full ones would be

_ROWS = {"words": "select * from words order by fold, word, doc", "documents": "select * from documents order by doc"}
_MERGED = {"spellings": queries.MERGED_SPELLINGS, "folds": queries.MERGED_FOLDS}
NEW = {**_ROWS, "spellings": queries.SPELLINGS, "folds": queries.FOLDS}  # what makes the files of rows


def comes_first(given: Sequence[Part]) -> bool:
    """Whether there are so many small parts that they are merged before a run takes in more.

    The word table is made anew of all parts' summaries each time, and those of a small part cost nearly what those of a
    large one do: where parts come faster than they are merged, a table would take more CPU time than a job has.
    """
    small = sum(_is_whole(part) and 2 * part.words <= WORDS_MOST for part in given)
    return small > SPARE and _mergeable(given) is not None


def merged(corpus: Corpus, manifest: Manifest, token: str, is_over: Callable[[], bool]) -> tuple[Manifest, bool]:
    """The manifest with parts merged as long as there is time, and whether nothing is left to be merged.

    ``token`` is the run's; the names of all files that it writes have it.
    """
    found, left = list(manifest.parts), WORDS_MOST
    named = set(files.of_manifest(corpus.id, corpus.manifest))
    while (some := _mergeable(found) or _crowded(found)) is not None:
        group = found[some]
        left -= sum(part.words for part in group)
        if left < 0 or is_over():
            return msgspec.structs.replace(manifest, parts=found), False
        found[some] = [_merge(corpus.id, group, token)]
        for name in {*files.of_manifest(corpus.id, Manifest(parts=group))} - named:
            objects.delete(name)  # this run wrote it, and no manifest ever names it
    return msgspec.structs.replace(manifest, parts=found), True


def _mergeable(given: Sequence[Part]) -> slice | None:
    """The first neighbours that should be one part: ``FANOUT`` of them, or as many as have ``WORDS_MOST`` words.

    None of them has more than two thirds of the words, so whatever is merged becomes half as large again at least.
    """
    for start in range(len(given)):
        words = most = 0
        end, full = start, False
        while end < len(given) and not full and _is_whole(given[end]) and _follows(given, start, end):
            full = words + given[end].words > WORDS_MOST
            if not full:
                words, most, end = words + given[end].words, max(most, given[end].words), end + 1
                full = end - start == FANOUT
        if full and end - start > 1 and 3 * most <= 2 * words:
            return slice(start, end)
    return None


def _crowded(given: Sequence[Part]) -> slice | None:
    """The two neighbours that have the fewest words, where there are more parts than their words need.

    If no two fitted into one, there would be at most twice as many parts as full ones.
    """
    whole = [part.words for part in given if _is_whole(part)]
    if len(whole) <= SPARE + 2 * sum(whole) // WORDS_MOST:
        return None
    pairs = [
        (one.words + two.words, at)
        for at, (one, two) in enumerate(itertools.pairwise(given))
        if _is_whole(one) and _is_whole(two) and _follows(given, at, at + 1)
    ]
    words, at = min(pairs, default=(WORDS_MOST + 1, 0))
    return slice(at, at + 2) if words <= WORDS_MOST else None


def _is_whole(part: Part) -> bool:
    """Whether all documents of a part's batches are in it; one of several parts of a batch is large as it is."""
    return part.ended and not part.is_split


def _follows(given: Sequence[Part], start: int, end: int) -> bool:
    return end == start or given[end].batch == given[end - 1].batch + given[end - 1].span


def _merge(corpus_id: str, group: Sequence[Part], token: str) -> Part:
    """One part of what neighbours hold."""
    first, last = group[0], group[-1]
    made = Part(
        batch=first.batch,
        span=last.batch + last.span - first.batch,
        states=dict(sum((Counter(part.states) for part in group), Counter[str]())),
        ended=True,
        seen=sum(map(_seen, group)),
        dead=marked(number - first.batch for part in group for number in _dead(part)),
    )
    views = files.views(corpus_id, group, files.KINDS)
    with opened(views, [doc for part in group for doc in part.removed]) as engine:
        return written(corpus_id, made, token, engine, {**_ROWS, **_MERGED})


def _dead(part: Part) -> list[int]:
    """The batches of a part that had no document any more when it was made: what is removed of them says nothing."""
    if part.span == 1:
        return [] if any(part.states.values()) else [part.batch]
    return [part.batch + at for at in marks(part.dead)]


def _seen(part: Part) -> int:
    """How many documents of a part's batches had been removed when it was made."""
    return part.seen if part.span > 1 else 0 if _dead(part) else len(part.removed)


def removed_of(part: Part, removed: Mapping[int, set[int]]) -> list[int]:
    """The numbers in the corpus of all documents of a merged part's batches that do not count."""
    dead = set(_dead(part))
    numbers = (number for number in range(part.batch, part.batch + part.span) if number not in dead)
    return [Place(number, at).doc for number in numbers for at in removed.get(number, ())]


def rewritten(corpus_id: str, part: Part, removed: Sequence[int], token: str) -> Part:
    """A merged part without the documents that have been removed since."""
    left = sum(part.states.values()) - (len(removed) - part.seen)
    return msgspec.structs.replace(settled(without(corpus_id, part, removed, token), left), seen=len(removed))


def without(corpus_id: str, part: Part, removed: Sequence[int], token: str) -> Part:
    """The part with new files, in which nothing is left of these documents: their text is in no file any more."""
    views = files.views(corpus_id, [part], ("words", "documents"))
    with opened(views, removed) as engine:
        return written(corpus_id, part, token, engine)


def written(corpus_id: str, part: Part, token: str, engine: Engine, tables: Mapping[str, str] = NEW) -> Part:
    """The part with files of what these queries find, none where there is no document."""
    [(documents, words)] = engine.rows(queries.TOTALS)
    made = named(msgspec.structs.replace(part, files=int(documents > 0), documents=documents, words=words), token)
    for kind, sql in tables.items() if documents else ():
        objects.put(files.name(corpus_id, made, kind), engine.parquet(kind, sql))
    return made


def settled(part: Part, live: int) -> Part:
    """A part with so many live documents, if it has ended with the states of what is in its files: else they failed."""
    if not part.ended:
        return part
    states = {records.SUCCEEDED: part.documents, records.FAILED: live - part.documents}
    return msgspec.structs.replace(part, states={name: number for name, number in states.items() if number > 0})


def empty(part: Part) -> Part:
    """The part without files."""
    return msgspec.structs.replace(part, token="", files=0, documents=0, words=0)


def named(part: Part, token: str) -> Part:
    """The part with a token of its own among those that this run writes; none where it has no files."""
    return msgspec.structs.replace(part, token=f"{token}-{part.span}-{part.first}" if part.files else "")
