"""Random corpora: what SQL over a corpus' files says is what a plain count of its documents says."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.analysis import corpus_words
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.corpus import answers, merging, parts, queries
from chalicelib.corpus.engine import opened
from chalicelib.corpus.readings import readings
from tests.corpus_files import Files, Tokens, grams, merged, near, part, plain, rewritten, tokens_of, whole, written
from tests.evidence import counted

EXAMPLES = settings.default.max_examples // 4  # each opens DuckDB several times
WORDS = ["The", "the", "of", "Berlin", "berlin", "BERLIN", "Straße", "STRASSE", "I", "i", "ı", "İ", "don't", "tree"]
WORDS += ["Işık", "ışık", "IŞIK", "l'homme", "D'İ"]
TEXTS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", " ", " ", ". ", "\n"])), min_size=0, max_size=25
).map(lambda pairs: "".join(word + gap for word, gap in pairs))
Corpus = tuple[list[parts.Document], list[int], int]


@st.composite
def corpora(draw: Any) -> Corpus:
    """Documents with texts in several languages, the numbers of those that were removed, and how many parts."""
    texts = draw(st.lists(st.tuples(TEXTS, st.sampled_from(["en", "tr", "fr", "az", ""])), min_size=1, max_size=8))
    documents = [
        parts.Document(doc=at * 3, id=f"{at:032}", key=f"k{at}", evidence=counted(text, language=language))
        for at, (text, language) in enumerate(texts)
    ]
    removed = draw(st.lists(st.sampled_from([document.doc for document in documents]), unique=True))
    return documents, removed, draw(st.integers(1, 3))


def laid_out(folder: Path, corpus: Corpus) -> tuple[Files, list[Tokens]]:
    documents, removed, several = corpus
    groups = [group for at in range(several) if (group := documents[at::several])]
    kept = [tokens_of(document.evidence) for document in documents if document.doc not in removed]
    return written(folder, groups, removed), kept


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def rows_of(table: CorpusTable, **asked: Any) -> dict[str, corpus_words.Row]:
    view = corpus_words.query(table, **asked)
    keys = whole(table, **asked).words
    return dict(zip(keys, view.show(0, len(view)), strict=True))


def test_a_part_reads_the_same_with_arrow(folder: Path) -> None:
    texts = ["to be or not to be. To whom?", "", "Ünï nul\0nul \U0001f600"]
    documents = [
        parts.Document(doc=at, id=str(at), key="k", evidence=counted(text), url=None, metadata=metadata)
        for at, text, metadata in zip((5, 2, 9), texts, ({"year": "1603", "by": "é"}, {}, {"x": ""}), strict=True)
    ]
    for kind, data in part(documents).items():
        (folder / kind).write_bytes(data)
    words, described = (pyarrow.parquet.ParquetFile(folder / kind) for kind in ("words", "documents"))
    assert [str(field.type) for field in words.schema_arrow] == [
        *("int32", "string", "string", "int32", "bool"),
        "list<element: struct<start: int32, place: int32>>",
    ]
    assert words.metadata.row_group(0).column(0).compression == "ZSTD"
    found = words.read().to_pylist()
    assert found == sorted(found, key=lambda row: (row["fold"], row["word"], row["doc"]))
    for one in documents:
        rows = {row["word"]: (row["count"], row["positions"]) for row in found if row["doc"] == one.doc}
        spelled = [one.evidence.table.words[row] for row in one.evidence.tokens.rows]
        assert {word: count for word, (count, _) in rows.items()} == Counter(spelled)
        starts = sorted(position["start"] for _, positions in rows.values() for position in positions)
        assert starts == list(one.evidence.tokens.starts)
    assert [(row["doc"], row["text"], row["metadata"], row["url"]) for row in described.read().to_pylist()] == [
        (one.doc, one.evidence.text, list(one.metadata.items()), None)
        for one in sorted(documents, key=lambda one: one.doc)
    ]


@settings(max_examples=EXAMPLES)
@given(corpora(), st.integers(1, 3))
def test_the_words_of_a_corpus_are_those_of_a_plain_count(folder: Path, corpus: Corpus, threads: int) -> None:
    files, kept = laid_out(folder, corpus)
    table = merged(files, len(kept), threads=threads)
    expected = plain(kept)
    found = {word: (row.count, row.documents, row.dispersion, row.d_kl) for word, row in rows_of(table).items()}
    assert {word: row[:2] for word, row in found.items()} == {word: row[:2] for word, row in expected.items()}
    for word, (_, _, d, d_kl) in expected.items():
        assert found[word][2:] == (pytest.approx(d, abs=2e-6), pytest.approx(d_kl, abs=2e-6))
    assert table.total == sum(map(len, kept))
    spelled = rows_of(table, fold_case=False)
    assert {word: row.count for word, row in spelled.items()} == {
        word: sum(token[1] == word for document in kept for token in document)
        for word in {token[1] for document in kept for token in document}
    }


@settings(max_examples=EXAMPLES)
@given(corpora(), st.randoms())
def test_order_threads_and_what_was_removed_do_not_matter(folder: Path, corpus: Corpus, mixed: Any) -> None:
    documents, removed, _ = corpus
    files, kept = laid_out(folder, corpus)
    table = merged(files, len(kept), threads=1)
    left = [document for document in documents if document.doc not in removed]
    mixed.shuffle(left)
    again = merged(written(folder, [left] if left else []), len(left), threads=2)
    assert {**rows_of(table), "": table.size} == {**rows_of(again), "": again.size}
    assert rows_of(table, fold_case=False) == rows_of(again, fold_case=False)


@pytest.mark.long
@settings(max_examples=EXAMPLES)
@given(corpora(), st.data())
def test_merged_parts_say_the_same_before_and_after_more_is_removed(folder: Path, corpus: Corpus, data: Any) -> None:
    documents, removed, _ = corpus
    files, kept = laid_out(folder, corpus)
    table = merged(files, len(kept))
    one = rewritten(folder, files, removed, merging._ROWS | merging._MERGED, "merged")
    again = merged(one, len(kept))
    assert (rows_of(again), rows_of(again, fold_case=False)) == (rows_of(table), rows_of(table, fold_case=False))
    late = data.draw(st.lists(st.sampled_from([one.doc for one in documents]), unique=True))
    left = rewritten(folder, one, late, merging.NEW, "left")
    kept = [tokens_of(one.evidence) for one in documents if one.doc not in (*removed, *late)]
    counts = {word: (row.count, row.documents) for word, row in rows_of(merged(left, len(kept))).items()}
    assert counts == {word: row[:2] for word, row in (plain(kept) if kept else {}).items()}
    found = pyarrow.parquet.ParquetFile(left["words"][0]).read(columns=["fold", "word", "doc"]).to_pylist()
    assert found == sorted(found, key=lambda row: (row["fold"], row["word"], row["doc"]))


@settings(max_examples=EXAMPLES)
@given(corpora(), st.sampled_from(["the", "berlin", "strasse", "tree"]), st.integers(1, 3))
def test_contexts_phrases_and_collocates_are_those_of_a_plain_count(
    folder: Path, corpus: Corpus, word: str, n: int
) -> None:
    files, kept = laid_out(folder, corpus)
    with opened({kind: files[kind] for kind in ("words", "documents")}, corpus[1]) as engine:
        for fold, (count, documents, _, _) in plain(kept).items() if kept else ():
            assert engine.rows(queries.total(queries.occurrences(1, column="fold")), word0=fold) == [(count, documents)]
        table = merged(files, len(kept))
        folds = whole(table)
        for shown, count in zip(folds.shown, folds.counts, strict=True):  # as it is, and as people may type it
            for typed in {shown, shown.replace("'", "’")}:
                found = answers._first(engine, readings(typed, lambda: table, fold_case=True), "fold")
                assert (found[0].words, found[1]) == (1, count)
        pairs = grams(kept, n + 1)
        found = engine.rows(queries.phrases(n + 1), min_count=1, most=10_000)
        assert {row[: n + 1]: row[n + 1] for row in found} == pairs
        for phrase, count in pairs.most_common(3):
            bound = {f"word{at}": fold for at, fold in enumerate(phrase)}
            assert engine.rows(queries.total(queries.occurrences(n + 1, column="fold")), **bound)[0][0] == count
            for side in ("left", "right"):
                in_all, in_some = (
                    engine.rows(
                        queries.sorted_contexts(
                            queries.occurrences(n + 1, column="fold"), side=side, everywhere=everywhere
                        ),
                        **bound,
                        limit=10_000,
                        offset=0,
                    )
                    for everywhere in (True, False)
                )
                assert in_all == in_some
                assert len(in_some) == count
        for everywhere in (True, False):
            collocates = engine.rows(queries.collocates(n, everywhere=everywhere), word0=word, min_count=1)
            assert {row[0]: row[1] for row in collocates} == near(kept, word, n)


@settings(max_examples=EXAMPLES)
@given(corpora())
def test_tfidf_is_that_of_scikit_learn(folder: Path, corpus: Corpus) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="scikit-learn comes with `make .venv/.bench`")
    files, kept = laid_out(folder, corpus)
    table = merged(files, len(kept))
    if not table.total:
        return
    counter = text.CountVectorizer(analyzer=lambda document: [fold for _, _, fold in document])
    weights = text.TfidfTransformer(norm=None, smooth_idf=True).fit_transform(counter.fit_transform(kept))
    summed = dict(zip(counter.get_feature_names_out(), weights.sum(axis=0).A1, strict=True))
    found = {word: row.tfidf for word, row in rows_of(table).items()}
    assert found == pytest.approx(summed, abs=1e-5)
