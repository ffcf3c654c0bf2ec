"""A user's script, which mypy and pyright judge (`make check`): the types of the client are right and whole."""
# pyright: strict

from pathlib import Path

import wordcounts
from wordcounts import Client, Counted, JobFailed, Word, WordcountsError


def show(done: int, total: int, counted: Counted) -> None:
    print(done, total, counted.name, counted.error)


def top(address: str) -> list[Word]:
    with Client() as client:
        try:
            job = client.count(address, language="en", content="main", timeout=60)
        except JobFailed as failed:
            print(failed.job.id, failed.advice)
            return []
        contexts = job.contexts("rose", window=3, limit=5)
        places: list[float] = [row.place for row in contexts]
        first = contexts[0].before if contexts else ""
        title: str | None = job.page.title if job.page else None
        print(len(contexts), contexts.total, places, first, title)
        return job.words(limit=10, prefix="a")[:5]


def many() -> dict[str, int]:
    client = wordcounts.Client(at_once=4)
    counts = client.count_many(["a.urls", Path("folder")], progress=show)
    counts.to_csv(Path("words.csv"), stop_words="include")
    for one in counts:
        print(one.name, one.words)
    last: Counted = counts[-1]
    some: list[Counted] = counts[:2]
    print(last.job.id, some)
    return {row.word: row.count for row in counts.words(case="keep")}


def corpus() -> None:
    client = wordcounts.Client()
    made = client.create_corpus("poems", metadata=["year"], language="en")
    refused = made.add([{"text": "rose", "metadata": {"year": "1794"}}, "poems/"])
    try:
        made.wait(timeout=60)
    except WordcountsError as error:
        print(error.type, error.status, error.to_dict())
    for row in made.words(sort="tfidf", limit=3):
        print(row.word, row.documents, row.dispersion)
    for found in made.contexts("rose"):
        print(found.document.key, found.match)
    for keyword in made.keywords(client.corpus("others")):
        print(keyword.lrc)
    print(refused, [document.state for document in made.read_documents("failed")])
