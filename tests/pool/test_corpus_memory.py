"""A worker whose memory is bounded for pages still answers questions about corpora."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import resource, tempfile
from pathlib import Path
from chalicelib.pool import limits
from tests.factories import a_job

limits.limit_memory(limits.MEMORY_LEAST)
before, hard = resource.getrlimit(resource.RLIMIT_AS)
with limits.gate(a_job(kind="query"), 0):
    from chalicelib.corpus import parts
    from tests.corpus_files import merged, written
    from tests.evidence import counted, zipfian
    documents = [parts.Document(doc=at, id="", key="", evidence=counted(zipfian(20_000, at))) for at in range(60)]
    with tempfile.TemporaryDirectory() as folder:
        print(merged(written(Path(folder), [documents]), len(documents)).size)
    inside = resource.getrlimit(resource.RLIMIT_AS)[0]
after = resource.getrlimit(resource.RLIMIT_AS)
assert inside > after[0] and after[1] == hard, (before, inside, after)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers bound their memory on Linux alone")
def test_a_job_of_a_corpus_has_room_for_its_engine() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "60\n"), ran.stderr
