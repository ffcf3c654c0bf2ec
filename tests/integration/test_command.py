"""The command ``wordcounts`` against the local server: what it prints, what it says of mistakes, its exit codes."""

import contextlib
import csv
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import conftest, websites
from tests.integration.counter import counting_at_once
from tests.integration.http_clients import LocalClient, local_client
from wordcounts import cli, many
from wordcounts.cli.options import Session


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def api(redis_url: str, dynalite_table: conftest.Table) -> Iterator[LocalClient]:
    with local_client() as running:
        yield running


@pytest.fixture
def command(
    api: LocalClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """The command in this process, in a folder of its own."""
    monkeypatch.setenv("WORDCOUNTS_URL", f"http://127.0.0.1:{api.port}")
    monkeypatch.delenv("WORDCOUNTS_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, typed: bytes = b"", terminal: bool = False) -> Said:
        typing = io.TextIOWrapper(io.BytesIO(typed))
        typing.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", typing)
        capsys.readouterr()
        code = cli.run(list(arguments), Session())
        out, err = capsys.readouterr()
        return Said(code, "".join(line for line in out.splitlines(True) if not is_log(line)), err)

    return run


def is_log(line: str) -> bool:
    """Whether the service wrote it, which runs in this process."""
    return line.startswith(('{"level"', '{"_aws"'))


def test_many_inputs_are_one_table_and_each_has_its_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<title>Cats\x1b[31m</title><p>cat Cat <b>hat</b></p><nav>menu</nav>")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The hat, the Hat and a dog.")
    with counting_at_once():
        one = command("count", "page.html", "--ignore", "nav")
        merged = command("count", "page.html", "docs", "-", typed="Hat und Ö".encode())
        table = list(csv.DictReader(io.StringIO(command("count", "page.html", "docs", "--csv").out)))
        lines = command("count", "page.html", "--json", "--keep-case").out.splitlines()
        each = command("count", "page.html", "docs", "--each", "--json", "--stop-words").out.splitlines()
        short = command("count", "page.html", "docs", "--each", "--top", "1").out.splitlines()
        piped = command("count", "--csv", typed=b"to be")
    assert (one.code, one.err) == (0, "")
    shown = one.out.splitlines()
    assert "\x1b" not in one.out
    assert shown[1].startswith("3 words, 2 different, 0 stop words")
    assert [shown[4].split()[at] for at in (0, 1, 2)] == ["Cat", "2", "66.67%"]
    assert merged.out.splitlines()[0] == "3 texts"
    assert merged.out.splitlines()[4].split()[:4] == ["Hat", "4", "28.57%", "3"]
    assert [table[0][name] for name in ("word", "count", "documents")] == ["hat", "3", "2"]
    assert {json.loads(line)["word"] for line in lines} == {"cat", "Cat", "hat", "menu"}
    assert {json.loads(line)["source"] for line in each} == {"page.html", "docs/a.txt"}
    assert [line for line in short if line.startswith(("page", "docs"))] == ["page.html", "docs/a.txt"]
    assert piped.out.splitlines()[0] == "word,count,share,stop_word"


def test_contexts_phrases_and_keywords_of_files(command: Command, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("The white whale swims. A white whale dives. " + "boat " * 60)
    (tmp_path / "old.txt").write_text("A green turtle swims. The turtle dives. " + "sea " * 60)
    with counting_at_once():
        lines = command("contexts", "whale", "new.txt", "--window", "1", "--sort", "left")
        rows = command("contexts", "white whale", "new.txt", "old.txt", "--json")
        table = list(csv.DictReader(io.StringIO(command("contexts", "swims", "new.txt", "old.txt", "--csv").out)))
        some = command("contexts", "boat", "new.txt")
        phrases = command("phrases", "new.txt", "--json")
        compared = command("keywords", "new.txt", "--against", "old.txt", "--top", "1")
        scores = list(csv.DictReader(io.StringIO(command("keywords", "new.txt", "--against", "old.txt", "--csv").out)))
        listed = command("jobs", "--json", "-n", "1")
        again = command("contexts", "sea", json.loads(listed.out)["id"], "--top", "1")
    assert [line.split() for line in lines.out.splitlines() if line] == [
        ["white", "whale", "dives"],
        ["white", "whale", "swims"],
    ]
    assert [json.loads(line)["source"] for line in rows.out.splitlines()] == ["new.txt", "new.txt"]
    assert [row["source"] for row in table] == ["new.txt", "old.txt"]
    assert "10 of 60 are shown: see all with --top 60" in some.err
    assert json.loads(phrases.out.splitlines()[0])["phrase"] == ["white", "whale"]
    titles = [line for line in compared.out.splitlines() if line.startswith("More")]
    assert titles == ["More often in new.txt", "More often in old.txt"]
    assert {row["word"] for row in scores} >= {"boat", "sea", "whale"}
    assert again.code == 0


def test_no_word_stands_under_a_heading_that_its_log_ratio_contradicts(command: Command, tmp_path: Path) -> None:
    text = " ".join(["climate"] * 78 + [f"w{at} x{at}" for at in range(5_000)])
    (tmp_path / "news.txt").write_text(text)
    (tmp_path / "few.txt").write_text("A short text of very few words, and a whale that nobody has seen in it.")
    with counting_at_once():
        said = command("keywords", "news.txt", "--against", "few.txt")
        turned = command("keywords", "few.txt", "--against", "news.txt")
        rows = command("keywords", "news.txt", "--against", "few.txt", "--json")
    sentence = "few.txt has only 16 words: too few to tell for rarer words of news.txt, which are left out."
    for shown in (said, turned):
        assert (shown.code, sentence in shown.err, "No difference is significant" in shown.err) == (0, True, True)
        assert [line for line in shown.out.splitlines() if line.startswith("More")] == ["More often in few.txt"]
        assert "climate" not in shown.out
    assert json.loads(rows.out.splitlines()[-1])["count"] >= 0
    assert "climate" in rows.out


def test_jobs_say_what_they_are_and_why_they_failed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<title>Of roses</title><p>a rose")
    with counting_at_once():
        command("count", "-", typed=b"Rose is a rose is a rose")
        command("count", "page.html")
        command("count", "page.html", "--select", "p[[")
        said = command("jobs")
    shown = said.out.splitlines()
    assert shown[2].endswith("Of roses")
    assert "text: rose" in shown[3].lower()
    assert shown[5].split() == ["failed", "why"]
    assert shown[6].endswith("select “p[[”: Malformed attribute selector at position 1")


def test_an_empty_file_of_many_is_a_warning(command: Command, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("a rose")
    (tmp_path / "docs" / "b.txt").touch()
    with counting_at_once():
        said = command("count", "docs")
    assert (said.code, "docs/b.txt has no words." in said.err) == (0, True)


def test_a_corpus_from_its_making_to_its_end(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "store"))
    for name, text in (
        ("a", "The old tree stands."),
        ("b", "An old tree falls, an old tree grows."),
        ("c", "sea " * 50),
    ):
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7")
    with counting_at_once():
        assert command("corpus", "list").code == 1
        made = command("corpus", "create", "trees", "--language", "en")
        added = command("corpus", "add", "trees", "a.txt", "b.txt", "nope.txt", "paper.pdf", "--timeout", "90")
        words = command("corpus", "words", "trees", "--csv")
        contexts = command("corpus", "contexts", "trees", "tree", "--top", "2")
        documents = command("corpus", "contexts", made.out.strip(), "old tree", "--json")
        phrases = command("corpus", "phrases", "trees")
        command("corpus", "create", "seas")
        other = command("corpus", "add", "seas", "c.txt", "--timeout", "90")
        keywords = command("corpus", "keywords", "trees", "--against", "seas", "--json", "--top", "1")
        again = command("corpus", "create", "trees")
        listed = command("corpus", "list")
        kept = command("corpus", "rm", "trees")
        gone = command("corpus", "rm", "trees", "--yes")
    assert len(made.out.strip()) == 32
    assert (added.code, added.out) == (1, "trees: 2 documents, 12 words\n")
    assert "wordcounts: There is no file nope.txt" in added.err
    assert "wordcounts: paper.pdf is a PDF, not a text. Convert it first: pdftotext paper.pdf\n" in added.err
    assert other.out == "seas: 1 document, 50 words\n"
    assert words.out.splitlines()[1].split(",")[:2] == ["old", "3"]
    assert len([line for line in contexts.out.splitlines() if line]) == 2
    assert "2 of 3 are shown" in contexts.err
    assert {json.loads(line)["document"]["key"] for line in documents.out.splitlines()} == {"a.txt", "b.txt"}
    assert phrases.out.splitlines()[1].split()[:3] == ["old", "tree", "3"]
    assert json.loads(keywords.out)["word"] == "sea"
    assert (again.code, "There is a corpus 'trees' already" in again.err) == (4, True)
    assert [line.split()[1] for line in listed.out.splitlines()[1:] if line] == ["seas", "trees"]
    assert (kept.code, "add --yes" in kept.err) == (2, True)
    assert (gone.code, gone.out, gone.err) == (0, "", "")


# --- mistakes ---

JAVASCRIPT = "<title>App</title><div id=root></div><script>" + "x=1;" * 2000 + "</script>"


class Site(websites.Site):
    """Pages that cannot be counted."""

    def page(self, path: str) -> tuple[int, str, bytes]:
        if path == "/paper.pdf":
            return 200, "application/pdf", b"%PDF-1.7"
        if path == "/app":
            return 200, "text/html", JAVASCRIPT.encode()
        if path == "/few":
            return 200, "text/html", (JAVASCRIPT + "Please wait").encode()
        return 404, "text/plain", b"no such page"


# What is typed ({site}: a web site, {closed}: a port where nobody listens), how it ends, and what it says.
MISTAKES: list[tuple[str, int, str]] = [
    ("count nope.txt", 1, "There is no file nope.txt.\n  Check the name, or give an address"),
    ("count emty.txt", 1, "There is no file emty.txt.\n  Did you mean empty.txt?"),
    ("count example.com/page", 1, "If it is an address, write https://example.com/page"),
    ("count localhost:8778/x", 1, "If it is an address, write http://localhost:8778/x"),
    ("count 127.0.0.1:8778/x", 1, "If it is an address, write http://127.0.0.1:8778/x"),
    ("count pictures", 1, "pictures has no texts.\n  Of a folder, .txt, .md, .html files and the like are read"),
    ("count pictures/a.png", 1, "is a binary file, not a text.\n  Only text and HTML are counted: convert it first."),
    ("count paper.pdf", 1, "paper.pdf is a PDF, not a text.\n  Convert it first: pdftotext paper.pdf"),
    ("count letter.docx", 1, "Save it as text or HTML first."),
    ("count empty.txt", 1, "empty.txt has no words.\n  Is it the right file"),
    ("count old.txt", 1, "old.txt is not UTF-8, and does not say what it is.\n  Name its encoding, such as --encoding"),
    ("count old.txt --encoding utf8", 1, "old.txt is not a text in utf8.\n  Leave --encoding out, or name another."),
    ("count old.txt --encoding klingon", 2, "'klingon' is not known. Try utf-8, utf-16, windows-1252"),
    ("count empty.urls", 1, "The list empty.urls is empty.\n  Write one address on each line."),
    ("count broken.jsonl", 1, 'broken.jsonl:1 is no submission.\n  Each line must be an object such as {"url"'),
    ("count a.txt.gz", 1, "a.txt.gz is not gzip, or is cut off."),
    ("count large.html", 1, "Put it into the inbox folder or bucket"),
    ("count a.txt --cvs", 2, "Did you mean '--csv'?"),
    ("count a.txt --wrong", 2, "No such option '--wrong'."),
    ("count a.txt --csv --json", 2, "--json and --csv: give one of them."),
    ("count a.txt --top 0", 2, "0 is not in the range x>=1"),
    ("count a.txt --top ten", 2, "'ten' is not a valid integer"),
    ("count", 2, "Name what to count: an address, a file, a folder, a list, or - for standard input."),
    ("cuont a.txt", 2, "No such command 'cuont'. Did you mean 'count'?"),
    ("corpus lits", 2, "No such command 'lits'. Did you mean 'list'?"),
    ("a.txt", 2, "To count it: wordcounts count a.txt"),
    ("count a.txt --language english!", 1, "language"),
    ("count page.html --select p[", 1, "page.html: select “p[”: Malformed attribute selector at position 1\n  Try the"),
    ("count only.txt --language en", 1, "All its words are stop words.\n  Add --stop-words to see them."),
    ("count http://127.0.0.1/", 1, "let the service fetch from the network of that address"),
    ("count ftp://example.com/", 1, "wordcounts: ftp://example.com/: Only http and https"),
    ("count {site}/nope", 1, "404"),
    ("count {site}/paper.pdf", 1, "application/pdf; only HTML"),
    ("count {site}/app", 1, "has no words.\n  If a browser shows text there, JavaScript makes it"),
    ("count {site}/few", 0, "has 2 words in 8,0"),
    ("count dangling.txt", 1, "dangling.txt is a link to what is not there.\n  Look at it: ls -l dangling.txt"),
    ("count *.nothing", 1, "There is no file *.nothing.\n  Check the name"),
    ("count -dash.txt", 2, "No such option '-d'. The file is ./-dash.txt."),
    ("count page.html --select #nothere", 1, "page.html has no words.\n  Does the selector match anything there?"),
    ("count list.csv", 0, "list.csv has no column named url, so it was counted as a text."),
    ("help count", 2, "Write: wordcounts count --help"),
    ("contexts absent a.txt", 1, "“absent” does not occur."),
    ("contexts a.txt", 2, "Name what to count: an address"),
    ("phrases a.txt", 1, "no phrase occurs twice.\n  Try --stop-words"),
    ("phrases a.txt --size 9", 2, "9 is not in the range 2<=x<=5"),
    ("phrases a.txt --size 3 --measure g2", 2, "--measure g2 compares two words"),
    ("keywords a.txt", 2, "Missing option '--against'"),
    ("keywords a.txt --against nope.txt", 1, "There is no file nope.txt"),
    ("keywords pictures2 --against a.txt", 1, "2 texts are named (pictures2/1.txt, …), and one is expected"),
    ("contexts a {id}", 4, "Check the id; `wordcounts jobs`"),
    ("corpus words nope", 4, "There is no corpus 'nope'.\n  `wordcounts corpus list` shows yours"),
    ("corpus add nope", 2, "Name what to add"),
    ("corpus create {empty}", 2, "NAME is empty."),
    ("--server http://127.0.0.1:{closed} count a.txt", 3, "Start one with `make run`, or name another in"),
    ("--server {site} status", 3, "is not Wordcounts: it answers 404.\n"),
    ("--server 127.0.0.1:8000 status", 2, "Write it like http://127.0.0.1:8000"),
    ("--server http://ann:secret@h/ status", 2, "Put the token into WORDCOUNTS_TOKEN"),
]  # fmt: skip


def files(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures2").mkdir()
    (folder / "dangling.txt").symlink_to("nowhere")
    for name in ("1.txt", "2.txt"):
        (folder / "pictures2" / name).write_text("x")
    for name, content in {
        "pictures/a.png": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "paper.pdf": b"%PDF-1.7",
        "letter.docx": b"PK\x03\x04",
        "empty.txt": b"",
        "old.txt": "Käse".encode("latin-1"),
        "empty.urls": b"# nothing\n",
        "broken.jsonl": b'{"address": 1}\n',
        "a.txt.gz": b"\x1f\x8b\x08broken",
        "large.html": b"<p>rose</p>\n" * 500_000,
        "a.txt": b"a rose",
        "only.txt": b"the and of the",
        "page.html": b"<p>a rose",
        "-dash.txt": b"a rose",
        "list.csv": b"address\nhttps://example.com/\n",
    }.items():
        (folder / name).write_bytes(content)


def test_every_mistake_ends_with_a_sentence_that_helps_and_the_right_code(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(tmp_path)
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "store"))
    wrong: list[object] = []
    with counting_at_once(), websites.serving(Site) as site, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        known = {"site": site, "closed": str(closed.getsockname()[1]), "id": "0" * 32, "empty": ""}
        for typed, code, sentence in MISTAKES:
            allowed = "127.0.0.0/8" if "{site}" in typed else ""
            monkeypatch.setenv("FETCH_ALLOW_NETWORKS", allowed)
            arguments = [part.format(**known) for part in typed.split(" ")]
            said = command(*arguments, terminal=True)
            helps = sentence in " ".join(said.err.split(" ")) and "Traceback" not in said.err
            if said.code != code or not helps or (code and said.out) or len(said.err.splitlines()) > 5:
                wrong.append((typed, code, said))
    assert not wrong, wrong
    assert len(MISTAKES) >= 30


def test_a_token_that_is_missing_or_wrong_is_said_to_be(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import app

    monkeypatch.setattr(app.gateway, "auth", "token")
    for token in ("", "wc_wrong"):
        monkeypatch.setenv("WORDCOUNTS_TOKEN", token)
        for arguments in (("count", "-", "--timeout", "5"), ("jobs",), ("corpus", "words", "trees")):
            said = command(*arguments, typed=b"a rose")
            assert (said.code, said.out) == (4, ""), said
            assert "Set WORDCOUNTS_TOKEN to a token of this service" in said.err
        said = command("status", "--json")
        assert (said.code, json.loads(said.out)["access"]) == (4, "refused")


def test_a_token_that_was_copied_badly_is_said_to_be_and_a_line_end_does_no_harm(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("wc_a\nwc_b", "wc_ä", "wc a"):
        monkeypatch.setenv("WORDCOUNTS_TOKEN", token)
        said = command("jobs")
        assert (said.code, "Copy it again into WORDCOUNTS_TOKEN" in said.err) == (2, True)
    monkeypatch.setenv("WORDCOUNTS_TOKEN", "wc_a\n")
    assert command("status").code == 0


def test_too_many_texts_are_refused_before_any_is_counted(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "MOST", 2)
    for at in range(3):
        (tmp_path / f"{at}.txt").write_text("rose")
    said = command("count", ".")
    assert (said.code, "more than 2 texts.\n  Name fewer, or put them into a corpus" in said.err) == (1, True)


def test_what_can_be_counted_is_though_others_cannot(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("rose")
    with counting_at_once():
        said = command("count", "a.txt", "nope.txt", "http://127.0.0.1/")
    assert (said.code, said.out.splitlines()[0]) == (1, "1 of 3 texts")
    assert "There is no file nope.txt" in said.err
    assert "http://127.0.0.1/: " in said.err


# --- as a process ---


def start(api: LocalClient, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    path = str(conftest.ROOT / "client" / "src")
    env = {**os.environ, "PYTHONPATH": path, "WORDCOUNTS_URL": f"http://127.0.0.1:{api.port}"}
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [sys.executable, "-m", "wordcounts", *arguments],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    return process


def ended(process: "subprocess.Popen[bytes]", typed: bytes = b"") -> Said:
    out, err = process.communicate(typed, timeout=60)
    return Said(process.returncode, out.decode(), err.decode())


def test_a_process_prints_bytes_stops_with_its_reader_and_completes(api: LocalClient) -> None:
    text = " ".join(f"w{at}" for at in range(20_000)).encode()
    with counting_at_once():
        said = ended(start(api, "count", "-", "--csv", "--stop-words"), "Ö und Ö".encode())
        reader = start(api, "count", "-", "--json", "--stop-words")
        threading.Thread(target=lambda: (reader.stdin.write(text), reader.stdin.close()), daemon=True).start()  # type: ignore[union-attr]
        assert reader.stdout is not None
        assert b'"w' in reader.stdout.readline()
        reader.stdout.close()
        assert reader.stderr is not None
        assert (reader.wait(60), reader.stderr.read()) == (0, b"")
        reader.stderr.close()
    assert said.out.splitlines()[1] == "Ö,2,0.66666667,false"
    assert (said.code, said.err) == (0, "")
    script = ended(start(api, "completion", "bash")).out
    assert "_WORDCOUNTS_COMPLETE=bash_complete" in script
    completed = completions("wordcounts cor", 1)
    assert completed == ["corpus"]
    assert {"--csv", "--stop-words"} <= set(completions("wordcounts count --", 2))
    assert completions("wordcounts keywords a.txt --against b", 4) == ["b"]  # the shell looks for files


def completions(line: str, place: int) -> list[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(conftest.ROOT / "client" / "src"),
        "_WORDCOUNTS_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(place),
    }
    command = [sys.executable, "-m", "wordcounts"]
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    return [line.partition(",")[2] for line in made.stdout.splitlines()]


@pytest.mark.parametrize("shown", [True, False])
def test_progress_is_shown_on_a_terminal_only(api: LocalClient, tmp_path: Path, shown: bool) -> None:
    import pty

    (tmp_path / "a.txt").write_text("a rose")
    ours, theirs = pty.openpty()
    path = str(conftest.ROOT / "client" / "src")
    env = {**os.environ, "PYTHONPATH": path, "WORDCOUNTS_URL": f"http://127.0.0.1:{api.port}", "TERM": "xterm"}
    command: Sequence[str] = [sys.executable, "-m", "wordcounts", "count", "a.txt", "nope.txt", "--csv"]
    with counting_at_once():
        err = theirs if shown else subprocess.PIPE
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=err) as process:
            out, said = process.communicate(timeout=60)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # how a terminal says its end
        while shown and (part := terminal.read(65536)):
            said = (said or b"") + part
    assert out.startswith(b"word,count")
    assert (b"\x1b[" in said, b"Counting 2 inputs" in said) == (shown, shown)
    assert b"There is no file nope.txt" in said
