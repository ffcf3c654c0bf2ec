"""What the service answers, as frozen dataclasses; each has ``to_dict``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    from .client import Client
    from .rows import Rows

State = Literal["queued", "running", "succeeded", "failed", "canceled"]
Case = Literal["fold", "keep"]
StopWords = Literal["exclude", "include"]
ENDED = ("succeeded", "failed", "canceled")


def columns(cls: type[Any]) -> tuple[str, ...]:
    """The names of a model's fields."""
    return tuple(one.name for one in dataclasses.fields(cls) if not one.name.startswith("_"))


class Model:
    """What all of them can do. Fields that a newer service adds are passed over."""

    __slots__ = ()
    _parts: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}  # what makes a field's value of what the API has

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], **more: Any) -> Self:
        """One of them from what the API answered."""
        made = {name: given[name] for name in columns(cls) if name in given}
        for name in cls._parts.keys() & made:
            value = made.pop(name)
            if value is not None:  # else the field's default
                made[name] = cls._parts[name](value)
        return cls(**made, **more)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return {name: _plain(getattr(self, name)) for name in columns(type(self))}


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    return list(map(_plain, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Word(Model):
    """A word in its most frequent spelling; ``share`` (0 to 1) is its part of all words of the text."""

    word: str
    count: int
    share: float
    stop_word: bool


@dataclass(frozen=True, slots=True)
class TopWord(Model):
    """A word and how often it occurs."""

    word: str
    count: int


@dataclass(frozen=True, slots=True)
class Context(Model):
    """An occurrence: ``start`` and ``end`` are characters of the text, ``place`` is how far into it, 0 to 1."""

    before: str
    match: str
    after: str
    start: int
    end: int
    place: float


@dataclass(frozen=True, slots=True)
class Phrase(Model):
    """Words that follow each other: how often, and how strongly they belong together (``g2`` of two words only)."""

    phrase: tuple[str, ...]
    count: int
    logdice: float
    npmi: float
    g2: float | None
    _parts: ClassVar = {"phrase": tuple}


@dataclass(frozen=True, slots=True)
class Keyword(Model):
    """A word of two texts. Scores above 0 say that the first has relatively more of it; ``lrc`` 0: not significant."""

    word: str
    count: int
    count_other: int
    per_million: float
    per_million_other: float
    log_ratio: float
    lrc: float
    g2: float
    p: float
    stop_word: bool


@dataclass(frozen=True, slots=True)
class Totals(Model):
    """Words of a text, how many of them differ, and how many are stop words."""

    words: int
    distinct: int
    stop_words: int = 0
    stop_list: bool = True


@dataclass(frozen=True, slots=True)
class Page(Model):
    """What was fetched or read."""

    url: str | None = None
    status: int | None = None
    title: str | None = None
    language: str | None = None
    encoding: str | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class JobError(Model):
    """Why a job failed; ``status`` is what the page's server answered."""

    type: str
    title: str
    detail: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Job(Model):
    """One page, text or document whose words are counted. Times are RFC 3339 in UTC."""

    id: str
    state: State
    version: int
    attempt: int
    kind: str
    url: str | None
    submitted_at: str
    expires_at: str
    started_at: str | None = None
    finished_at: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    page: Page | None = None
    totals: Totals | None = None
    top: tuple[TopWord, ...] = ()
    rules: str | None = None
    error: JobError | None = None
    _client: Client | None = field(default=None, repr=False, compare=False)
    _parts: ClassVar = {
        "page": Page.from_dict,
        "totals": Totals.from_dict,
        "top": lambda rows: tuple(map(TopWord.from_dict, rows)),
        "error": JobError.from_dict,
    }

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in ENDED

    @property
    def client(self) -> Client:
        """The client that it came from."""
        if self._client is None:
            raise ValueError("This job came from no client: use client.words(job.id) and the like.")
        return self._client

    def words(self, **query: Any) -> Rows[Word]:
        """Its words: as ``Client.words``."""
        return self.client.words(self, **query)

    def contexts(self, word: str | None = None, **query: Any) -> Rows[Context]:
        """Where a word or a phrase occurs: as ``Client.contexts``."""
        return self.client.contexts(self, word, **query)

    def phrases(self, **query: Any) -> Rows[Phrase]:
        """Its phrases: as ``Client.phrases``."""
        return self.client.phrases(self, **query)

    def keywords(self, against: Job | str, **query: Any) -> Rows[Keyword]:
        """What it has more or less of than another: as ``Client.keywords``."""
        return self.client.keywords(self, against, **query)

    def text(self) -> str:
        """The text that was counted."""
        return self.client.text(self)

    def _repr_html_(self) -> str:
        from .rows import job_html

        return job_html(self)


# --- corpora ---


@dataclass(frozen=True, slots=True)
class CorpusWord(Model):
    """A word of a corpus. ``dispersion`` is Juilland's D (1: even), ``d_kl`` a divergence in bits (0: even)."""

    word: str
    count: int
    share: float
    documents: int
    dispersion: float | None
    d_kl: float | None
    tfidf: float
    stop_word: bool


@dataclass(frozen=True, slots=True)
class Document(Model):
    """A document of a corpus: its key, and the state of its job."""

    key: str
    job: str | None = None
    url: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    state: State | None = None
    error: JobError | None = None
    words: int | None = None
    _parts: ClassVar = {"error": JobError.from_dict}


@dataclass(frozen=True, slots=True)
class Sitemap(Model):
    """A sitemap of a corpus as it is followed: so many addresses were ``listed``, of which so many were ``added``."""

    id: str
    state: State
    sitemap: str
    limit: int
    listed: int
    added: int
    excluded: int
    disallowed: int
    refused: int
    over_limit: int
    errors: tuple[dict[str, str], ...] = ()
    error: JobError | None = None
    _parts: ClassVar = {"errors": tuple, "error": JobError.from_dict}


@dataclass(frozen=True, slots=True)
class Source(Model):
    """The document that an occurrence is in; ``id`` is its job's."""

    id: str
    key: str
    url: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class CorpusContext(Context):
    """An occurrence in a corpus, with its document."""

    document: Source
    _parts: ClassVar = {"document": Source.from_dict}


@dataclass(frozen=True, slots=True)
class CorpusPhrase(Phrase):
    """A phrase of a corpus, and in how many documents it is."""

    documents: int = 0


@dataclass(frozen=True, slots=True)
class Collocate(Model):
    """A word near another one: how often, in how many documents, and how strongly they belong together."""

    word: str
    count: int
    documents: int
    frequency: int
    logdice: float
    stop_word: bool
