"""What the pipeline makes of a source, without servers."""

from chalicelib import pipeline
from tests.factories import a_job


def test_of_a_title_only_what_a_record_can_hold_is_kept() -> None:
    body = f"<title>{'a' * 5000}</title><p>one two two".encode()
    source = pipeline._Source(body=body, content_type="text/html", url="https://a.de/", status=200)
    made = pipeline._finished(a_job(), source, pipeline.Outcome(job=None))
    assert made["page"]["title"] == "a" * 1000
    assert made["totals"]["words"] == 3
