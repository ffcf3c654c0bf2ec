"""Many texts counted at once, as one table."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from .errors import CannotRead, Refused, Unreachable, WordcountsError
from .models import Case, Job, Model, StopWords
from .rows import Tabular
from .sources import AS_IT_IS, Input, Reading, Source, expand

if TYPE_CHECKING:
    from .client import Client, Options

Progress = Callable[[int, int, "Counted"], None]
MOST = 10_000  # texts of one table, which is added up here; more are for a corpus
PIECE = 1_000_000  # bytes of a piece of a text that the service does not take whole
DOTTED_I = ("tr", "az")


@dataclass(frozen=True, slots=True)
class Counted:
    """One text: its name, and its job, or the error that kept it from being counted. A text that the service did not
    take whole has several jobs, one for each piece."""

    name: str
    jobs: tuple[Job, ...] = ()
    error: WordcountsError | None = None

    @property
    def job(self) -> Job:
        """Its job; the first one of pieces. Raises the error where there is none."""
        if self.error is not None:
            raise self.error
        return self.jobs[0]

    @property
    def words(self) -> int:
        """How many words it has."""
        return sum(job.totals.words for job in self.jobs if job.totals)


@dataclass(frozen=True, slots=True)
class MergedWord(Model):
    """A word of many texts in its most frequent spelling, and in how many of them it is."""

    word: str
    count: int
    share: float
    documents: int
    stop_word: bool


class Counts(Tabular[MergedWord], Sequence[Counted]):
    """What ``count_many`` found, in the order of the sources; as a table, the words of all of them."""

    kind = MergedWord

    def __init__(self, client: Client, results: Sequence[Counted]) -> None:
        self._client = client
        self._results = list(results)
        self._spelled: list[tuple[str, str, int, int, bool]] | None = None

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, at: int) -> Counted: ...
    @overload
    def __getitem__(self, at: slice) -> list[Counted]: ...
    def __getitem__(self, at: int | slice) -> Counted | list[Counted]:
        return self._results[at]

    def __iter__(self) -> Iterator[Counted]:
        return iter(self._results)

    @property
    def failed(self) -> list[Counted]:
        """Those that could not be counted."""
        return [one for one in self._results if one.error is not None]

    @property
    def total(self) -> int:
        """All words of all texts."""
        return sum(one.words for one in self._results)

    def words(
        self, *, stop_words: StopWords = "exclude", case: Case = "fold", limit: int | None = None
    ) -> list[MergedWord]:
        """One table of all texts, most frequent first: exactly the sums of their tables."""
        grouped: dict[str, list[tuple[str, int, int, bool]]] = defaultdict(list)
        for fold, word, count, text, stop in self._tables():
            grouped[fold if case == "fold" else word].append((word, count, text, stop))
        total = self.total or 1
        found = [_merged(rows, total) for rows in grouped.values()]
        if stop_words == "exclude":
            found = [row for row in found if not row.stop_word]
        found.sort(key=lambda row: (-row.count, row.word))
        return found[:limit]

    def _chosen(self, **query: Any) -> list[MergedWord]:
        return self.words(**query)

    def _tables(self) -> list[tuple[str, str, int, int, bool]]:
        """Fold, spelling, count, number of the text and stop mark of every row of every table."""
        if self._spelled is not None:
            return self._spelled
        rules = {job.rules for one in self._results for job in one.jobs if job.totals and job.totals.words}
        if len(rules) > 1:
            raise WordcountsError(
                f"The texts were counted by different rules ({', '.join(sorted(map(str, rules)))}).",
                type="rules-differ",
                advice="Count all of them with the same options.",
            )
        jobs = [(at, job) for at, one in enumerate(self._results) for job in one.jobs]

        def table(at: int, job: Job) -> list[tuple[str, str, int, int, bool]]:
            language = ((job.page and job.page.language) or "").partition("-")[0].lower()
            rows = self._client.words(job, stop_words="include", case="keep")
            return [(_fold(row.word, language), row.word, row.count, at, row.stop_word) for row in rows]

        with ThreadPoolExecutor(max(self._client.at_once, 1)) as pool:
            self._spelled = [row for rows in pool.map(lambda one: table(*one), jobs) for row in rows]
        return self._spelled

    def __repr__(self) -> str:
        return f"<Counts: {len(self)} texts, {len(self.failed)} failed, {self.total:,} words>"

    def _repr_html_(self) -> str:
        failed = f", {len(self.failed)} could not be counted" if self.failed else ""
        return f"<p>{len(self):,} texts{failed}: {self.total:,} words</p>{super()._repr_html_()}"


def _fold(word: str, language: str) -> str:
    """The word without its case, as the service folds it."""
    if language in DOTTED_I:
        word = word.replace("I", "ı").replace("İ", "i")
    folded = word.casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def _merged(rows: Sequence[tuple[str, int, int, bool]], total: int) -> MergedWord:
    spellings: Counter[str] = Counter()
    stops = 0
    for word, count, _, stop in rows:
        spellings[word] += count
        stops += count * stop
    count = spellings.total()
    shown = min(spellings, key=lambda word: (-spellings[word], word))
    return MergedWord(shown, count, round(count / total, 8), len({at for _, _, at, _ in rows}), stops * 2 > count)


def count_many(
    client: Client,
    sources: Iterable[Source],
    *,
    progress: Progress | None = None,
    timeout: float = 300,
    options: Options | None = None,
    reading: Reading = AS_IT_IS,
) -> Counts:
    """Count them, so many at a time; see ``Client.count_many``."""
    inputs = list(islice(expand([sources] if isinstance(sources, str | os.PathLike) else sources, reading), MOST + 1))
    if len(inputs) > MOST:
        raise CannotRead(
            f"These are more than {MOST:,} texts.",
            type="too-many",
            advice="Name fewer, or put them into a corpus: wordcounts corpus create NAME.",
        )
    results: list[Counted | None] = [None] * len(inputs)
    work = _Work(client, timeout, options or {})
    pool = ThreadPoolExecutor(max(client.at_once, 1))
    waiting: dict[Future[Counted], int] = {}
    at = done = 0
    try:
        while waiting or at < len(inputs):
            while at < len(inputs) and len(waiting) < client.at_once * 2:
                waiting[pool.submit(work.count, inputs[at])] = at
                at += 1
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                counted = future.result()
                results[waiting.pop(future)] = counted
                done += 1
                if progress is not None:
                    progress(done, len(inputs), counted)
    except BaseException:
        work.cancel()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Counts(client, [one for one in results if one is not None])


class _Work:
    """What the threads of one ``count_many`` share."""

    def __init__(self, client: Client, timeout: float, options: Mapping[str, Any]) -> None:
        self.client, self.timeout, self.options = client, timeout, options
        self.stopped = False
        self.running: dict[str, Job] = {}  # which are canceled when somebody interrupts

    def count(self, given: Input) -> Counted:
        """The input counted, or why not. Raises what every other input would meet, too."""
        try:
            return Counted(given.name, tuple(self._jobs(given)))
        except Unreachable:
            self.stopped = True
            raise
        except WordcountsError as error:
            if error.type == "unauthorized":
                self.stopped = True
                raise
            return Counted(given.name, error=error)

    def cancel(self) -> None:
        """Cancel what is under way, as far as the service answers."""
        self.stopped = True
        for job in list(self.running):
            try:
                self.client.cancel(job)
            except Unreachable:
                return
            except WordcountsError:
                continue

    def _jobs(self, given: Input) -> Iterator[Job]:
        """The job of an input, or the jobs of its pieces where the service does not take it whole."""
        left_out: tuple[str, ...] = ("key", "metadata")
        fields = {**self.options, **given.load()}
        if "text" in fields:
            left_out += ("select", "ignore", "content")  # a plain text has no such parts
        fields = {name: value for name, value in fields.items() if name not in left_out}
        try:
            yield self._job(fields)
            return
        except Refused as refused:
            if refused.type != "body-too-large":
                raise
            if "text" not in fields:
                raise CannotRead(
                    f"{given.name} is larger than the service takes: {refused.message}",
                    type="too-large",
                    advice="Put it into the inbox folder or bucket of the service, or save its text as .txt: "
                    "a text is counted in pieces.",
                ) from None
        for piece in pieces(fields["text"], PIECE):
            job = self._job({**fields, "text": piece})
            if job.page and job.page.language:
                fields.setdefault("language", job.page.language)  # of all pieces, so that their stop words are the same
            yield job

    def _job(self, fields: Mapping[str, Any]) -> Job:
        if self.stopped:
            raise WordcountsError("It was not counted any more.", type="stopped", advice="")
        job = self.client.submit_fields(fields, wait=1)
        self.running[job.id] = job
        if self.stopped:  # meanwhile
            self.client.cancel(job)
        try:
            return self.client.wait(job, timeout=self.timeout)
        finally:
            self.running.pop(job.id, None)


def pieces(text: str, most: int) -> Iterator[str]:
    """A text cut where lines end, or spaces, into pieces of at most so many bytes as UTF-8."""
    start = 0
    while start < len(text):
        piece = text[start : start + most]
        if len(data := piece.encode(errors="surrogatepass")) > most:
            piece = data[:most].decode(errors="ignore")
        if start + len(piece) < len(text):
            end = max(piece.rfind("\n"), 0) or max(piece.rfind(" "), 0) or len(piece) - 1
            piece = piece[: end + 1]
        yield piece
        start += len(piece)
