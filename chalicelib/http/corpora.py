"""What the API takes and gives of corpora. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib import corpora, submissions, urls
from chalicelib.analysis import contexts, corpus_words, keywords
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.corpora import Given
from chalicelib.errors import Fault, InvalidSubmission, Refused, problem_for
from chalicelib.http import evidence, responses, schemas
from chalicelib.http.responses import Answer, Listed, Place
from chalicelib.http.schemas import LIMIT_MOST, Id, Options

NDJSON = "application/x-ndjson"
METADATA_MOST = 20  # fields of a document
CONTEXTS_MOST, ROWS_MOST = 500, 10_000  # that a worker looks for at once
MOST = {"contexts": CONTEXTS_MOST, "phrases": ROWS_MOST, "collocates": ROWS_MOST}
COLUMNS = {
    "contexts": [
        *contexts.Context.__struct_fields__,
        *("document_id", "document_key", "document_url", "document_title"),
    ],
    "phrases": ["phrase", "count", "documents", "logdice", "g2", "npmi"],
    "collocates": ["word", "count", "documents", "frequency", "logdice", "stop_word"],
}
_Limit = Annotated[int, Meta(ge=1, le=ROWS_MOST, description="Rows in an answer.")]
_Version = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000_000,
        description="The version that an earlier page had: another one answers `corpus-changed`.",
    ),
]
_Field = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_-]{0,49}\Z")]
_Key = Annotated[str, Meta(min_length=1, max_length=300, description="Names the document in its corpus.")]


def _cursor(form: str) -> Meta:
    return Meta(pattern=rf"\A{form}\Z", description="Where to go on: from an answer's `next`.")


class DocumentOptions(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """Options of a corpus' documents, as in a submission. Their text is always kept."""

    select: submissions.Select | UnsetType = UNSET
    ignore: submissions.Ignore | UnsetType = UNSET
    language: submissions.Language | UnsetType = UNSET
    content: submissions.Content | UnsetType = UNSET
    words: submissions.Words | UnsetType = UNSET
    numbers: submissions.Numbers | UnsetType = UNSET


class NewCorpus(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A corpus to make: its name, the options of its documents, and the names of their metadata."""

    name: Annotated[str, Meta(max_length=200, extra_json_schema=submissions.NO_NUL)] = ""
    options: DocumentOptions = DocumentOptions()
    metadata: Annotated[list[_Field], Meta(max_length=METADATA_MOST)] = []


class NewDocuments(Struct, forbid_unknown_fields=True):
    """Submissions of `url`, `text` or `html`, each with `key` and `metadata`; what is none is refused by its number."""

    documents: Annotated[list[Any], Meta(extra_json_schema={"maxItems": corpora.BATCH_MOST})]


class _Named(Struct):
    """What a corpus' document has besides a submission's fields."""

    key: _Key | None = None
    metadata: dict[str, Annotated[str, Meta(max_length=500)]] = {}


class Documents(Struct, kw_only=True):
    """A corpus' documents by state; `waiting` ones have not been looked at since the last compaction."""

    total: int
    waiting: int
    running: int
    succeeded: int
    failed: int


class Corpus(Struct, kw_only=True):
    """Many documents counted as one. `complete` says that everything that was added and has ended is counted."""

    id: Id
    name: str
    state: Literal["empty", "counting", "ready", "erasing"]
    options: Options
    metadata: list[str]
    created_at: str
    expires_at: str
    documents: Documents
    totals: dict[str, int]
    version: Annotated[int, Meta(description="Rises with every compaction; pages of one listing have one version.")]
    rules: str | None
    complete: bool


class Corpora(Struct, kw_only=True):
    """Some of the caller's corpora, newest first."""

    corpora: list[Corpus]
    next: str | None


class CursorQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which page of the corpora."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Corpora in an answer.")] = 50
    cursor: Annotated[str, _cursor("[0-9a-f]{12}[0-9a-f]{32}")] | UnsetType = UNSET


class DocumentsQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which documents, and which page of them."""

    state: Annotated[schemas.State, Meta(description="Only documents in this state.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000, description="Documents in an answer.")] = 100
    cursor: Annotated[str, _cursor("[0-9]{1,6}-[0-9]{1,4}")] | UnsetType = UNSET


class KeyQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which document: an address may be its key."""

    key: Annotated[str, Meta(min_length=1, max_length=urls.MAX_LENGTH, description="The document's key.")]


class WordsQuery(schemas.WordsQuery, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which words of a corpus, in which order."""

    sort: Annotated[corpus_words.Order, Meta(description="By what, the largest first.")] = "count"
    version: _Version | UnsetType = UNSET


class ContextsQuery(evidence.ContextsQuery, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A word or a phrase, one of the two, and how its occurrences are shown."""

    limit: Annotated[int, Meta(ge=1, le=CONTEXTS_MOST, description="Rows in an answer.")] = responses.DEFAULT_LIMIT
    version: _Version | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("word", "phrase"):
            given = getattr(self, name)
            if isinstance(given, str) and (size := len(given.split())) > contexts.PHRASE_WORDS_MOST:
                raise ValueError(f"{name}: {contexts.PHRASE_WORDS_MOST} words are looked for at most, this has {size}")


class PhrasesQuery(evidence.PhrasesQuery, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which phrases, and by which measure."""

    limit: _Limit = responses.DEFAULT_LIMIT
    version: _Version | UnsetType = UNSET


class CollocatesQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Which word's neighbours."""

    word: Annotated[str, Meta(min_length=1, max_length=200, description="A word, as in the word table.")]
    window: Annotated[int, Meta(ge=1, le=20, description="Words on each side.")] = 5
    min_count: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Only neighbours that occur so often.")] = 2
    stop_words: Annotated[Literal["exclude", "include"], Meta(description="Words such as `the`.")] = "exclude"
    limit: _Limit = responses.DEFAULT_LIMIT
    offset: evidence.Offset = 0
    version: _Version | UnsetType = UNSET


class KeywordsQuery(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What to compare with, and which of the words to list."""

    against: Annotated[
        str, Meta(pattern=r"\A(?:corpus|job):[0-9a-f]{32}\Z", description="`corpus:` or `job:` with an id.")
    ]
    alpha: Annotated[float, Meta(gt=0, lt=1, description="The level of significance of all tests together.")] = 0.05
    sort: Annotated[keywords.Order, Meta(description="By the size of which score, of either sign.")] = "lrc"
    sign: Annotated[keywords.Sign, Meta(description="`positive`: words that this corpus has more of.")] = "both"
    stop_words: Annotated[Literal["include", "exclude"], Meta(description="Words such as `the`.")] = "include"
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MOST, description="Rows in an answer.")] | UnsetType = UNSET
    offset: evidence.Offset = 0
    version: _Version | UnsetType = UNSET
    against_version: _Version | UnsetType = UNSET


# --- what comes ---


def of_version(asked: Any, **versions: int | None) -> Any:
    """What was asked, bound to these versions, so that ``next`` is of the same; refused where it was of another."""
    known = {name: version for name, version in versions.items() if version is not None}
    if any(getattr(asked, name) not in (UNSET, version) for name, version in known.items()):
        raise Refused("corpus-changed", "The corpus has changed since the first page. Ask again from the first page.")
    return msgspec.structs.replace(asked, **known)


def question(asked: ContextsQuery | PhrasesQuery | CollocatesQuery) -> dict[str, Any]:
    """What was asked as a query job holds it, which knows no version and looks for a word as for a phrase."""
    given = msgspec.structs.asdict(asked)
    del given["version"]
    if isinstance(asked, ContextsQuery):
        given["fold_case"] = given.pop("case") == "fold"
        word = given.pop("word")
        given["phrase"] = word if isinstance(word, str) else asked.phrase
    return given


def new_corpus(raw: bytes) -> tuple[NewCorpus, dict[str, Any]]:
    """A corpus to make, and the options of its documents; refused where one of them cannot be used."""
    given = submissions.convert(responses.body(raw), NewCorpus)
    options = msgspec.to_builtins(given.options)
    return given, submissions.read({**options, "html": "x"}).options  # the rules of options are those of a submission


def documents(raw: bytes, media_type: str, corpus: Any) -> tuple[dict[int, Given], list[dict[str, Any]]]:
    """The documents of a request by their numbers in it, and of each that was refused its number and its faults."""
    rows = _lines(raw) if media_type == NDJSON else _listed(raw)
    if len(rows) > corpora.BATCH_MOST:
        raise Refused("invalid-submission", f"A request may have {corpora.BATCH_MOST} documents, this has {len(rows)}.")
    given, refused = {}, []
    for index, row in enumerate(rows):
        try:
            given[index] = _document(row, corpus)
        except InvalidSubmission as error:
            errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
            refused.append({"index": index, "errors": errors})
    return given, refused


def accepted(given: Sequence[int], answers: Sequence[object], refused: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is said of the documents of a request: how many were taken, and of each other one why it was not."""
    failed = [
        {"index": index, "errors": [{"pointer": "", "detail": refusal.detail if refusal else str(answer)}]}
        for index, answer in zip(given, answers, strict=True)
        if isinstance(answer, Exception)
        for refusal in [problem_for(answer)]
    ]
    rows = sorted([*refused, *failed], key=lambda row: row["index"])
    return {"accepted": len(given) - len(failed), "refused": rows}


def _lines(raw: bytes) -> list[bytes]:
    return [line for line in raw.splitlines() if line.strip()]


def _listed(raw: bytes) -> list[Any]:
    submissions.check_shape(raw, strings=100 * corpora.BATCH_MOST, others=1000 * corpora.BATCH_MOST)
    fields = submissions.parse(raw)
    try:
        return msgspec.convert(fields, NewDocuments).documents
    except msgspec.ValidationError:
        raise Refused("invalid-submission", 'An object {"documents": [...]} is expected.') from None


def _document(row: object, corpus: Any) -> Given:
    """A document, or a line of NDJSON that holds one; ``InvalidSubmission``."""
    fields = submissions.decode(row) if isinstance(row, bytes) else row
    if not isinstance(fields, Mapping):
        raise InvalidSubmission(Fault("", "must be an object with one of url, text and html"))
    own = {name: fields[name] for name in _Named.__struct_fields__ if name in fields}
    named = submissions.convert(own, _Named)
    if unknown := named.metadata.keys() - set(corpus.metadata):
        raise InvalidSubmission(Fault("/metadata", f"{min(unknown)!r} is not among the corpus' metadata"))
    rest = {name: value for name, value in fields.items() if name not in own}
    submissions.check_sizes(rest)
    return Given(submissions.read(rest), named.key, named.metadata)


# --- what goes ---


def corpus(record: Any) -> Corpus:
    """A corpus as the API shows it."""
    manifest = record.manifest
    return msgspec.convert(
        {
            **msgspec.structs.asdict(record),
            "created_at": responses.time_text(record.created_at),
            "expires_at": responses.time_text(record.expires_at * 1000),
            "totals": {"words": manifest.words, "distinct": manifest.distinct, "documents": manifest.documents},
            "rules": manifest.rules or None,
            **corpora.state(record),
        },
        Corpus,
    )


def corpora_answer(found: Sequence[Any], after: tuple[int, str] | None, asked: CursorQuery, path: str) -> Answer:
    """A page of corpora."""
    following = None if after is None else responses.address(path, asked, cursor=responses.cursor(after))
    return responses.page_answer({"corpora": list(map(corpus, found))}, following)


def read_cursor(text: str | UnsetType) -> Any:
    """Where a page of documents starts."""
    if isinstance(text, UnsetType):
        return None
    batch, at = text.split("-")
    return corpora.Place(int(batch), int(at))


def documents_answer(found: Sequence[Any], after: Any, asked: DocumentsQuery, path: str) -> Answer:
    """A page of documents with their jobs' states and errors."""
    rows = [
        {
            **msgspec.structs.asdict(document),
            "state": job.state if job else "failed",
            "error": (job.error if job else {"type": "gone", "title": "The job is gone", "detail": ""}),
            "words": (job.totals or {}).get("words") if job else None,
        }
        for document, job in found
    ]
    following = None if after is None else responses.address(path, asked, cursor=f"{after.batch}-{after.at}")
    return responses.page_answer({"documents": rows}, following)


def words_answer(record: Any, table: CorpusTable, asked: WordsQuery, place: Place) -> Answer:
    """A page of a corpus' words."""
    wanted = responses.wanted_words(asked)
    view = corpus_words.query(table, wanted, fold_case=asked.case == "fold", sort=asked.sort)
    columns = corpus_words.Row.__struct_fields__
    listed = Listed(about(record), "words", len(view), view.show, columns, responses.WORDS_LIMIT)
    return responses.listed_answer(listed, asked, place)


def found_answer(record: Any, name: str, found: Mapping[str, Any], asked: Any, place: Place) -> Answer:
    """What a query job found: contexts, phrases or collocates."""
    end = found["next"]
    following = None if end is None else responses.address(place.path, asked, offset=end)
    rows = found[name]
    if place.media_type == responses.CSV:
        cells = ([_flat(row)[column] for column in COLUMNS[name]] for row in rows)
        made = responses.csv_answer(responses.csv_lines([COLUMNS[name], *cells]), following)
    else:
        head = {key: value for key, value in found.items() if key not in (name, "next")}
        made = responses.page_answer({**about(record), **head, name: rows}, following)
    if len(made.body) > responses.MAX_ANSWER_BYTES:
        raise Refused("answer-too-large", "The answer would be too large: ask for fewer rows by limit.")
    return made


def no_answer(job: Any) -> Refused:
    """The problem of a question whose job has ended without an answer."""
    known = {"corpus-gone": "gone", "corpus-changed": "corpus-changed", "connection-failed": "unavailable"}
    if job.error is not None and (name := known.get(job.error["type"])):
        return Refused(name, job.error["detail"])
    return responses.no_result(job)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **{f"document_{name}": value for name, value in row.get("document", {}).items()}}


def about(record: Any) -> dict[str, Any]:
    """What every answer about a corpus says: its version, and whether it is complete."""
    return {"id": record.id, "version": record.version, "complete": corpora.is_complete(record)}
