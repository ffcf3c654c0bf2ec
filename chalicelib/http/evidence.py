"""What the API takes and gives of a job's text, contexts, phrases and keywords. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.analysis import contexts, keywords, phrases, places
from chalicelib.analysis.evidence import Evidence
from chalicelib.http import responses
from chalicelib.http.responses import Answer, Listed, Place
from chalicelib.http.schemas import LIMIT_MOST, Id, Listing

TEXT = "text/plain"

_Count = Annotated[int, Meta(ge=0)]
_Limit = Annotated[int, Meta(ge=1, le=LIMIT_MOST, description="Rows in an answer; 50 in JSON, all in CSV.")]
Offset = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Rows to pass over.")]
_Word = Annotated[str, Meta(min_length=1, max_length=1000)]


class TextQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which part of the text."""

    offset: Annotated[int, Meta(ge=0, le=1_000_000_000, description="Characters to pass over.")] = 0
    limit: (
        Annotated[int, Meta(ge=1, le=1_000_000_000, description="Characters in an answer; as many as it holds.")]
        | UnsetType
    ) = UNSET


class ContextsQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A word or a phrase, one of the two, and how its occurrences are shown."""

    word: Annotated[_Word, Meta(description="A word, as in the word table.")] | UnsetType = UNSET
    phrase: (
        Annotated[str, Meta(min_length=1, max_length=200, description="Words that follow each other in one sentence.")]
        | UnsetType
    ) = UNSET
    window: Annotated[int, Meta(ge=1, le=1000, description="Words or characters on each side.")] = 8
    unit: Annotated[contexts.Unit, Meta(description="What the window counts; `sentence` shows the sentence.")] = "words"
    sort: Annotated[
        contexts.Order, Meta(description="By place, or by the words before or after, the nearest first.")
    ] = "place"
    case: Annotated[Literal["fold", "keep"], Meta(description="`fold` finds `The` and `the`.")] = "fold"
    limit: _Limit | UnsetType = UNSET
    offset: Offset = 0

    def __post_init__(self) -> None:
        if isinstance(self.word, str) == isinstance(self.phrase, str):
            raise ValueError("word: give either a word or a phrase")


class PlacesQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which words, and into how many equal parts the text is divided."""

    words: Annotated[str, Meta(min_length=1, max_length=10_000, description="Words, separated by commas: at most 500.")]
    parts: Annotated[int, Meta(ge=1, le=200, description="Equal parts of the text.")] = 40
    case: Annotated[Literal["fold", "keep"], Meta(description="`fold` counts `The` and `the` together.")] = "fold"


class PhrasesQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which phrases, and by which measure."""

    n: Annotated[int, Meta(ge=2, le=phrases.LONGEST, description="Words of a phrase.")] = 2
    min_count: Annotated[int, Meta(ge=2, le=1_000_000_000, description="Only phrases that occur so often.")] = 2
    measure: Annotated[phrases.Measure, Meta(description="What they are sorted by; `g2` is for two words.")] = "logdice"
    stop_words: Annotated[
        phrases.StopWords,
        Meta(description="Leave out phrases with a stop word at an `edges`, with `any`, or `include` all."),
    ] = "edges"
    limit: _Limit | UnsetType = UNSET
    offset: Offset = 0

    def __post_init__(self) -> None:
        if self.measure == "g2" and self.n > 2:
            raise ValueError("measure: g2 compares two words; use n=2, or another measure")


class KeywordsQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which job to compare with, and which of the words to list; no choice but `alpha` changes a score."""

    against: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32, description="The other job's id.")]
    alpha: Annotated[float, Meta(ge=1e-12, le=0.5, description="The level of significance of all tests together.")] = (
        0.05
    )
    sort: Annotated[keywords.Order, Meta(description="By the size of which score, of either sign.")] = "lrc"
    sign: Annotated[keywords.Sign, Meta(description="`positive`: words that this job has more of.")] = "both"
    stop_words: Annotated[Literal["include", "exclude"], Meta(description="Words such as `the`.")] = "include"
    prefix: Annotated[str, Meta(max_length=200, description="Only words that begin so.")] = ""
    limit: _Limit | UnsetType = UNSET
    offset: Offset = 0


class Contexts(Listing, kw_only=True):
    """Some occurrences; `total` counts all."""

    contexts: list[contexts.Context]


class Places(Struct, kw_only=True):
    """The places of those words that the text has, in the order asked for."""

    id: Id
    places: list[places.WordPlaces]


class Phrases(Listing, kw_only=True):
    """Some phrases, the strongest first; `windows` counts the places in the text where one could begin."""

    windows: _Count
    phrases: list[phrases.Phrase]


class Keywords(Listing, kw_only=True):
    """Some words of two jobs; `tests` counts the words compared, `sizes` all words of this job and of the other."""

    against: Id
    tests: _Count
    alpha: float
    sizes: Annotated[list[int], Meta(min_length=2, max_length=2)]
    keywords: list[keywords.Keyword]


# --- answers ---


def text_answer(kept: Evidence, asked: TextQuery, place: Place) -> Answer:
    """The text or a part of it, at most ``MAX_ANSWER_BYTES``, with a link to what follows."""
    most = responses.MAX_ANSWER_BYTES
    limit = most if isinstance(asked.limit, UnsetType) else min(asked.limit, most)
    start = min(asked.offset, len(kept.text))
    data = kept.text[start : start + limit].encode()
    if len(data) > most:
        data = data[:most].decode(errors="ignore").encode()  # no character is cut in two
    end = start + len(data.decode())
    following = responses.address(place.path, asked, offset=end) if end < len(kept.text) else None
    return Answer(200, data, {"Content-Type": f"{TEXT}; charset=utf-8", **responses.link(following)})


def contexts_answer(kept: Evidence, asked: ContextsQuery, place: Place) -> Answer:
    """Where a word or a phrase occurs."""
    fold_case = asked.case == "fold"
    if isinstance(asked.word, str):
        found = contexts.find_word(kept, asked.word, fold_case=fold_case)
    else:
        found = contexts.find_phrase(kept, str(asked.phrase), fold_case=fold_case)
    found = contexts.ordered(kept, found, asked.sort)

    def show(start: int, stop: int) -> list[Any]:
        return list(contexts.show(kept, found[start:stop], window=asked.window, unit=asked.unit))

    listed = Listed({"id": place.job_id}, "contexts", len(found), show, contexts.Context.__struct_fields__)
    return responses.listed_answer(listed, asked, place)


def places_answer(kept: Evidence, asked: PlacesQuery, place: Place) -> Answer:
    """In which parts of the text some words are."""
    wanted = responses.listed_words("words", asked.words)
    found = places.places(kept, wanted, parts=asked.parts, fold_case=asked.case == "fold")
    return Answer(200, responses.encoded({"id": place.job_id, "places": found}), {"Content-Type": responses.JSON})


def phrases_answer(kept: Evidence, asked: PhrasesQuery, place: Place) -> Answer:
    """Words that follow each other again and again."""
    found = phrases.phrases(
        kept, asked.n, min_count=asked.min_count, measure=asked.measure, stop_words=asked.stop_words
    )
    head = {"id": place.job_id, "windows": found.windows}
    listed = Listed(head, "phrases", len(found), found.show, phrases.Phrase.__struct_fields__)
    return responses.listed_answer(listed, asked, place)


def keywords_answer(
    tables: Sequence[Any], about: Mapping[str, Any], asked: Any, place: Place, prefix: str = ""
) -> Answer:
    """Words that a job or a corpus has relatively more or less often than another; both tables are folded.

    ``about`` is what the answer says before the rest, ``prefix`` is folded too.
    """
    found = keywords.keywords(
        *tables,
        alpha=asked.alpha,
        sort=asked.sort,
        sign=asked.sign,
        stop_words=asked.stop_words == "include",
        prefix=prefix,
    )
    head = {**about, "tests": found.tests, "alpha": asked.alpha, "sizes": found.sizes}
    listed = Listed(head, "keywords", len(found), found.show, keywords.Keyword.__struct_fields__)
    return responses.listed_answer(listed, asked, place)
