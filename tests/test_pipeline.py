"""What the pipeline makes of a source, without servers."""

import time

import pytest

from chalicelib import pipeline
from tests.factories import a_job


def test_of_a_title_only_what_a_record_can_hold_is_kept() -> None:
    body = f"<title>{'a' * 5000}</title><p>one two two".encode()
    source = pipeline.Fetched(body=body, content_type="text/html", url="https://a.de/", status=200)
    made = pipeline._finished(a_job(), source, pipeline.Outcome(job=None))
    assert made["page"]["title"] == "a" * 1000
    assert made["totals"]["words"] == 3


class SlowToGo:
    """An object whose end takes longer than the time limit: what is raised there gets lost."""

    def __del__(self) -> None:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # which is what gets lost
def test_a_time_limit_whose_error_gets_lost_raises_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "AGAIN_SECONDS", 0.1)
    reached = []

    def work() -> None:
        with pipeline._time_limit(0.1):
            SlowToGo()
            reached.append("after what gets lost")
            time.sleep(2)

    with pytest.raises(TimeoutError):
        work()
    assert reached
    time.sleep(0.15)  # and never after its end
