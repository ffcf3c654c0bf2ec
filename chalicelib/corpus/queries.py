"""What is asked of a corpus' parts, as SQL that DuckDB and Spark both run.

Each query is a text over the views ``words`` and ``documents`` (corpus/parts.py), which an engine makes of the files
without the documents that were replaced or removed since. Values are bound by name. The engines differ in one function,
which is written ``{explode}``. Statistics are computed afterwards, in Python, from the sums.
"""

from chalicelib.analysis.words import WORD_CHARACTERS
from chalicelib.corpus.parts import SENTENCE_GAP

# A part's words by spelling: occurrences, documents, and how many occurrences are stop words.
SPELLINGS = """
select word, fold, cast(sum(count) as bigint) as count, count(*) as documents,
       cast(sum(case when stop then count else 0 end) as bigint) as stops
from words group by word, fold
"""

# By folded word what dispersion is computed from: sums that can be added over parts.
FOLDS = """
with folded as (select doc, fold, cast(sum(count) as double) as f from words group by doc, fold)
select fold, cast(sum(f) as bigint) as count, count(*) as documents, sum(f / words) as rates,
       sum((f / words) * (f / words)) as squares, sum(f * log2(f / words)) as logs
from folded join documents using (doc) group by fold
"""

# The same over the summaries of all parts.
MERGED_SPELLINGS = """
select word, fold, cast(sum(count) as bigint) as count, cast(sum(documents) as bigint) as documents,
       cast(sum(stops) as bigint) as stops
from spellings group by word, fold order by count desc, word, fold
"""
_SUMMED = """
select fold, cast(sum(count) as bigint) as count, cast(sum(documents) as bigint) as documents, sum(rates) as rates,
       sum(squares) as squares, sum(logs) as logs
from folds group by fold"""
MERGED_FOLDS = f"{_SUMMED} order by count desc, fold"

# The rows of the word table (analysis/corpus_table.py): of spellings, ``several`` says that languages fold one
# differently; of folds ``shown`` is the most frequent spelling, of equally frequent ones the first in code point order.
TABLE_SPELLINGS = """
select word, cast(sum(count) as bigint) as count, cast(sum(documents) as bigint) as documents,
       cast(sum(stops) as bigint) as stops, min(fold) <> max(fold) as several
from spellings group by word order by count desc, word
"""
TABLE_FOLDS = f"""
with spelled as (select word, fold, sum(count) as count, sum(stops) as stops from spellings group by word, fold),
named as (select fold, cast(sum(stops) as bigint) as stops, min_by(word, (-count, word)) as shown
          from spelled group by fold),
summed as ({_SUMMED})
select fold, count, documents, stops, shown, rates, squares, logs
from summed join named using (fold) order by count desc, fold
"""

TOTALS = """
select count(*) as documents, cast(coalesce(sum(words), 0) as bigint) as words from documents
"""


def occurrences(words: int, *, column: str, either: bool = False) -> str:
    """Where ``words`` words follow each other: rows (doc, start, stop, place, size), in order. Binds $word0, $word1, …

    ``start`` and ``stop`` are offsets in the text, ``size`` is the number of words; ``column`` is ``fold`` or ``word``.
    With ``either`` each word may be another one too: $or0, $or1, … Of 0 words see ``_touching``.
    """
    if not words:
        return _touching(column)
    tests = [f"{column} = $word{n}" + (f" or {column} = $or{n}" if either else "") for n in range(words)]
    tables = [
        f"w{n} as (select doc, p.start as start, p.start + {_LENGTH} as stop, p.place as place from "
        f"(select doc, word, {{explode}}(positions) as p from words where {test}) as x{n})"
        for n, test in enumerate(tests)
    ]
    joins = "".join(f" join w{n} on w{n}.doc = w0.doc and w{n}.place = w0.place + {n}" for n in range(1, words))
    return (
        f"with {', '.join(tables)} select w0.doc as doc, w0.start as start, w{words - 1}.stop as stop, "
        f"w0.place as place, {words} as size from w0{joins}"
    )


_LENGTH = f"least(length(word), {WORD_CHARACTERS})"  # of a word in the text: tokens.length


def _touching(column: str) -> str:
    """Where words that touch each other are $wanted: in it a space is where two of them do not touch.

    $pieces are the words that can be among them, or no row is found.
    """
    return f"""
with recursive pieces as (
    select doc, p.start as start, p.start + {_LENGTH} as stop, p.place as place, piece
    from (select doc, word, {column} as piece, {{explode}}(positions) as p from words
          where {column} in (select {{explode}}($pieces))) as x),
chain as (
    select doc, start, stop, place, 1 as size, piece as made from pieces
    where substr($wanted, 1, length(piece)) = piece
    union all
    select * from (
        select chain.doc as doc, chain.start as start, pieces.stop as stop, chain.place as place,
               chain.size + 1 as size,
               chain.made || case when pieces.start = chain.stop then '' else ' ' end || pieces.piece as made
        from chain join pieces on pieces.doc = chain.doc and pieces.place = chain.place + chain.size) as longer
    where substr($wanted, 1, length(made)) = made)
select doc, start, stop, place, size from chain where made = $wanted"""


def contexts(found: str) -> str:
    """One page of these occurrences in the order of the corpus. Binds $limit and $offset too."""
    return f"select * from ({found}) as found order by doc, start limit $limit offset $offset"


def sorted_contexts(found: str, *, side: str, everywhere: bool = False) -> str:
    """The same by the neighbours on one side, the nearest word first, then in the order of the corpus."""
    pairs = ", ".join(f"({step})" for step in (1, 2, 3))
    names = ", ".join(f"max(case when step = {step} then fold end) as n{step}" for step in (1, 2, 3))
    spot = "place - step" if side == "left" else "place + size - 1 + step"
    return f"""
with found as ({found}),
spots as (select {_SPOT} + {spot} as spot, {_SPOT} + place as origin, step
          from found cross join (values {pairs}) as s(step)),
{_tokens("found", everywhere=everywhere)},
near as (select origin, {names} from tokens join spots on spots.spot = tokens.spot group by origin)
select found.doc as doc, found.start as start, found.stop as stop, found.place as place, found.size as size
from found left join near on near.origin = {_SPOT} + found.place
order by coalesce(n1, ''), coalesce(n2, ''), coalesce(n3, ''), found.doc, found.start
limit $limit offset $offset
"""


def _tokens(found: str, *, everywhere: bool) -> str:
    """``tokens``: all words of the documents that ``found`` has, or of all where these are most of them.

    To look whether a row is of such a document costs more than its words do, if they are taken in any case.
    A document and a place are one number, since a join on one key takes a third of the time of one on two.
    """
    some = "" if everywhere else f" where doc in (select doc from {found})"
    return f"""tokens as (select doc, fold, p.place as place, {_SPOT} + p.place as spot from
           (select doc, fold, {{explode}}(positions) as p from words{some}) as x)"""


_SPOT = "cast(doc as bigint) * 4294967296"


def total(found: str) -> str:
    """How many of these occurrences there are, and in how many documents."""
    return f"select count(*) as total, count(distinct doc) as documents from ({found}) as f"


# What stands around some occurrences is read by blocks, since documents may be long: of so many characters of the text,
# numbered in the corpus by $blocks: those of a document begin at its number times BLOCK_OF.
BLOCK = 2_048
BLOCK_OF = 2**32
# The words of the documents $docs that begin in these blocks, in their order.
TOKENS = f"""
select doc, word, p.start as start, p.place as place
from (select doc, word, {{explode}}(positions) as p from words where doc in (select {{explode}}($docs))) as x
where cast(doc as bigint) * {BLOCK_OF} + cast(floor(p.start / {BLOCK}) as bigint) in (select {{explode}}($blocks))
order by doc, start
"""
# The text of these blocks.
TEXTS = f"""
with wanted as (select block, cast(floor(block / {BLOCK_OF}) as integer) as doc
                from (select {{explode}}($blocks) as block) as x)
select block, substr(text, cast(block % {BLOCK_OF} as integer) * {BLOCK} + 1, {BLOCK}) as text
from documents join wanted using (doc)
"""
DOCUMENTS = (
    "select doc, id, key, url, title, language, length(text) as size from documents "
    "where doc in (select {explode}($docs))"
)


def collocates(window: int, *, either: bool = False, everywhere: bool = False) -> str:
    """Words within ``window`` words of $word0 in its sentence: (word, count, documents), $min_count times at least.

    A place that is near two occurrences counts once. With ``either`` the word may be $or0 too.
    """
    test = "fold = $word0 or fold = $or0" if either else "fold = $word0"
    steps = ", ".join(f"({step})" for step in range(-window, window + 1) if step)
    return f"""
with node as (select doc, p.place as place from (select doc, {{explode}}(positions) as p from words
              where {test}) as x0),
spots as (select distinct {_SPOT} + place + step as spot from node cross join (values {steps}) as s(step)),
{_tokens("node", everywhere=everywhere)}
select fold as word, count(*) as count, count(distinct doc) as documents
from tokens where spot in (select spot from spots)
group by fold having count(*) >= $min_count
"""


def phrases(n: int) -> str:
    """Phrases of ``n`` words that occur $min_count times: their folds w0 …, count, documents, and f0 …: how often each
    word stands at its place in any phrase of that length. ``windows`` is how many phrases there are in all.
    """
    names = [f"w{at}" for at in range(n)]
    leads = ", ".join(
        f"lead(fold, {at}) over inside as w{at}, lead(place, {at}) over inside as p{at}" for at in range(1, n)
    )
    same = " and ".join(f"p{at} = p0 + {at}" for at in range(1, n))
    parts = ", ".join(f"m{at} as (select w{at} as word, count(*) as f from grams group by w{at})" for at in range(n))
    joins = "".join(f" join m{at} on m{at}.word = frequent.w{at}" for at in range(n))
    given = ", ".join(f"frequent.{name} as {name}" for name in names)
    frequencies = ", ".join(f"m{at}.f as f{at}" for at in range(n))
    return f"""
with tokens as (select doc, fold, p.place as place from
                (select doc, fold, {{explode}}(positions) as p from words) as x),
led as (select doc, fold as w0, place as p0, {leads} from tokens window inside as (partition by doc order by place)),
grams as (select doc, {", ".join(names)} from led where {same}),
frequent as (select {", ".join(names)}, count(*) as count, count(distinct doc) as documents from grams
             group by {", ".join(names)} having count(*) >= $min_count),
{parts}
select {given}, frequent.count as count, documents, {frequencies}, (select count(*) from grams) as windows
from frequent{joins} order by frequent.count desc, {", ".join(f"frequent.{name}" for name in names)} limit $most
"""


assert SENTENCE_GAP > 10  # noqa: S101 - a window of words never reaches over it
