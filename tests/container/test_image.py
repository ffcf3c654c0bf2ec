"""The worker's image, really built and run: read-only, not root, little memory, a real Redis, a DynamoDB stand-in."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from chalicelib import jobs, submissions
from chalicelib.store import records
from infra import build
from tests import websites
from tests.conftest import Table, require
from tests.container import engine

MEMORY = 1_000_000_000  # bytes, as small as a Fargate task may sensibly be
WORKERS = "interactive:12,bulk:2"


@pytest.fixture(scope="session")
def image() -> str:
    """The built image's name; minutes the first time, seconds afterwards."""
    require(not engine.missing(), f"the image cannot be built here: there is no {', no '.join(engine.missing())}")
    return engine.build()


@dataclass
class Container:
    """A worker container that runs."""

    name: str
    log: Callable[[], str] = field(repr=False)

    def execute(self, *command: str) -> tuple[int, str]:
        """Run a command inside; its status and what it printed."""
        run = engine.podman("exec", self.name, *command, check=False)
        return run.returncode, run.stdout + run.stderr

    def exit_code(self) -> int:
        return int(engine.podman("wait", self.name).stdout)

    def was_out_of_memory(self) -> bool:
        return engine.podman("inspect", "--format", "{{.State.OOMKilled}}", self.name).stdout.strip() == "true"


class Pages(websites.Site):
    """Any path: a page that takes half a second to come."""

    def page(self, path: str) -> tuple[int, str, bytes]:
        time.sleep(0.5)
        body = f"<title>t</title><p>Word word other{path[1:]} <script>never</script></p>"
        return 200, "text/html; charset=utf-8", body.encode()


@pytest.fixture
def pages() -> Iterator[str]:
    """The base address of a slow page server on loopback."""
    with websites.serving(Pages) as address:
        yield address


@pytest.fixture
def start(
    image: str, redis_url: str, dynalite_table: Table, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Container]]:
    """Starts a worker container as Fargate would: every limit set, nothing given but the settings."""
    monkeypatch.setenv("QUEUE_NAME", f"container-{uuid.uuid4().hex[:8]}")
    names = []
    given = {
        "REDIS_URL": redis_url,
        "TABLE_NAME": dynalite_table.name,
        "AWS_ENDPOINT_URL_DYNAMODB": dynalite_table.endpoint,
        "QUEUE_NAME": os.environ["QUEUE_NAME"],
        "WORKER_PROCESSES": WORKERS,
        "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
        "FETCH_HOST_RATE": "1000",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }

    def run(memory: int = MEMORY, workers: str = WORKERS, **more: str) -> Container:
        name = f"wordcounts-test-{uuid.uuid4().hex[:8]}"
        names.append(name)
        limits = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", str(memory)]
        chosen = {**given, "WORKER_PROCESSES": workers, **more}
        settings = [argument for pair in chosen.items() for argument in ("--env", "=".join(pair))]
        engine.podman("run", "--detach", "--name", name, "--network", "host", *limits, *settings, image)
        container = Container(name, lambda: "".join(output(name)))
        until(lambda: engine.podman("healthcheck", "run", name, check=False).returncode == 0, container)
        return container

    yield run
    for name in names:
        engine.podman("rm", "--force", "--time", "1", name, check=False)


def output(name: str) -> tuple[str, str]:
    """What a container wrote: standard output, then standard error."""
    run = engine.podman("logs", name, check=False)
    return run.stdout, run.stderr


def until(holds: Callable[[], bool], container: Container, seconds: float = 60) -> None:
    """Wait for a condition; the container's log when it does not come."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, container.log()[-4000:]
        time.sleep(0.2)


def submit(url: str) -> records.Job:
    job, _ = jobs.submit(jobs.Request(submissions.read({"url": url}), "anonymous"))
    return job


def states(submitted: list[records.Job]) -> list[str]:
    return [job.state for job in jobs.table().get_many([job.id for job in submitted]).values()]


def test_a_page_is_counted_by_a_user_without_rights_on_a_read_only_system(
    start: Callable[[], Container], pages: str
) -> None:
    container = start()
    job = submit(f"{pages}/page")
    until(lambda: states([job]) == [records.SUCCEEDED], container)
    done = jobs.get(job.id, "anonymous")
    assert done.totals is not None
    assert done.totals["words"] == 3  # the title and the script do not count
    assert done.top == [{"word": "Word", "count": 2}, {"word": "otherpage", "count": 1}]
    assert container.execute("id", "-u") == (0, "10001\n")
    assert container.execute("touch", "/opt/wordcounts/new")[0] != 0
    assert container.execute("touch", "/tmp/new") == (0, "")  # noqa: S108 - the one place that it may write to
    for tool in ("gcc", "cc", "make", "pip"):
        assert container.execute("sh", "-c", f"command -v {tool}")[0] != 0, f"{tool} is in the image"


def test_a_container_without_a_live_parent_is_not_healthy(start: Callable[[], Container]) -> None:
    container = start()
    engine.podman("kill", "--signal", "STOP", container.name)
    assert container.execute("sh", "-c", "touch -d '2 minutes ago' /tmp/*-worker-alive") == (0, "")
    assert engine.podman("healthcheck", "run", container.name, check=False).returncode == 1


def test_a_bad_setting_ends_the_start_with_its_name(image: str) -> None:
    run = engine.podman("run", "--rm", "--env", "MAX_ATTEMPTS=many", image, check=False)
    assert run.returncode != 0
    assert "MAX_ATTEMPTS" in run.stdout + run.stderr


def test_sigterm_under_load_ends_soon_strands_nothing_and_the_next_container_finishes_it(
    start: Callable[[], Container], pages: str
) -> None:
    container = start()
    submitted = [submit(f"{pages}/load{number}") for number in range(80)]
    until(lambda: states(submitted).count(records.SUCCEEDED) >= 10, container)
    began = time.monotonic()
    engine.podman("kill", "--signal", "TERM", container.name)
    assert container.exit_code() == 0, container.log()[-4000:]
    assert time.monotonic() - began < 30  # far from the 120 s that Fargate waits
    assert not container.was_out_of_memory()
    left = states(submitted)
    assert set(left) <= {records.SUCCEEDED, records.QUEUED}, "a job was left in the hands of nobody"
    assert records.QUEUED in left, "the container stopped after its load, not under it"
    following = start()
    until(lambda: set(states(submitted)) == {records.SUCCEEDED}, following)
    finished = jobs.table().get_many([job.id for job in submitted]).values()
    assert {job.attempt for job in finished} == {1}, "a job that was stopped in time is not counted twice"
    assert peak_bytes(following) < MEMORY


class WorstPages(websites.Site):
    """Any path: a page of 5 MB, of the kinds that cost most memory: short words, all different words, deep markup."""

    BODIES = (
        b"<p>" + b"ab " * 1_666_000,
        b"<p>" + b" ".join(b"w%xy" % n for n in range(640_000)),
        b"<div><b>a</b> c" * 330_000,
    )

    def page(self, path: str) -> tuple[int, str, bytes]:
        return 200, "text/html; charset=utf-8", self.BODIES[int(path.rpartition("/")[2]) % 3][:4_999_000]


def test_a_task_full_of_the_worst_pages_at_once_loses_no_worker(start: Callable[..., Container]) -> None:
    parameters = build.load("parameters.yaml")["Parameters"]
    memory = int(parameters["TaskMemory"]["Default"]) << 20
    workers = f"interactive:{parameters['TaskProcesses']['Default']},bulk:0"
    with websites.serving(WorstPages) as address:
        # Time is not what is tried: on a busy machine 50 s of the clock may be 3 of work.
        container = start(memory, workers, LEASE_SECONDS="600")
        submitted = [submit(f"{address}/{number}") for number in range(32)]
        until(lambda: set(states(submitted)) == {records.SUCCEEDED}, container, seconds=700)
    ended = jobs.table().get_many([job.id for job in submitted]).values()
    assert {job.failures for job in ended} == {0}, "a worker died"
    assert not container.was_out_of_memory()
    peak = peak_bytes(container)
    print(f"32 pages of 5 MB at once: {peak / 1e6:.0f} MB at most")
    assert peak < memory


def peak_bytes(container: Container) -> int:
    """The most memory that the container had, as its control group says."""
    code, text = container.execute(
        "sh", "-c", "cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.peak"
    )
    require(code == 0, "the container does not see its control group")
    return int(text)


def test_the_image_reads_and_writes_what_corpora_are_made_of(image: str) -> None:
    """DuckDB writes, reads and keeps to its folder below /tmp, which alone may be written to."""
    code = """
import tempfile
from array import array
from pathlib import Path
from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens
from chalicelib.analysis.words import Table
from chalicelib.corpus import engine, merging, parts
ends = array("I", [3])
tokens = Tokens(array("I", [1, 0, 0]), array("I", [0, 3, 6]), ends, ends)
evidence = Evidence("to be be", tokens, Table(["be", "to"], [2, 1], bytes(2), 3), "en")
given = [parts.Document(doc=1, id="a", key="k", evidence=evidence, metadata={"year": "1603"})]
folder = Path(tempfile.mkdtemp())
with engine.holding(parts.arrays(given)) as holding:
    for kind, sql in merging.NEW.items():
        (folder / kind).write_bytes(holding.parquet(kind, sql))
files = {"words": [folder / "words"], "documents": [folder / "documents"], "folds": []}
with engine.opened(files) as opened:
    found = opened.rows("select fold, sum(count) from words where fold = $word group by fold", word="be")
    assert found == [("be", 2)], found
    assert list(opened.each("select metadata from documents")) == [({"year": "1603"},)]
    assert opened.rows("select * from folds") == []
    assert opened.parquet("folds", "select * from folds")
"""
    # The image's volume is what may be written to.
    run = engine.podman("run", "--rm", "--network", "none", "--read-only", image, "python", "-c", code, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


def test_the_image_is_under_350_megabytes_unpacked(image: str) -> None:
    """The base has 127 of them, DuckDB 69 and ICU 43."""
    size = engine.unpacked_bytes(image)
    print(f"image: {size / 1e6:.0f} MB unpacked, {engine.unpacked_bytes(engine.BASE) / 1e6:.0f} of it the base")
    assert size < 350_000_000
