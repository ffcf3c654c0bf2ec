"""The workers that benchmarks/throughput.py measures beside this project's, each as people run it.

usage: python -m benchmarks.systems usual|simple|empty|endless    (Celery and Dramatiq have command lines of their own)
"""

import os
import re
import sqlite3
import sys
from collections import Counter

import celery
import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
DATABASE = os.environ.get("BENCH_DATABASE", "bench.sqlite")


def count_as_usual(url: str, started: float) -> None:
    """The tutorial's function: requests, BeautifulSoup, NLTK, two Counters, a row in a database."""
    import json
    import time

    import nltk
    import requests
    from bs4 import BeautifulSoup
    from nltk.corpus import stopwords

    page = requests.get(url, timeout=20)
    text = BeautifulSoup(page.text, "html.parser").get_text()
    tokens = nltk.Text(nltk.word_tokenize(text))
    letters = re.compile(".*[A-Za-z].*")
    raw = [word for word in tokens if letters.match(word)]
    stops = set(stopwords.words("english"))
    counts = Counter(raw)
    without = Counter(word for word in raw if word.lower() not in stops)
    with sqlite3.connect(DATABASE, timeout=30) as rows:
        rows.execute(
            "insert into results values (?, ?, ?, ?, ?)",
            (url, json.dumps(counts), json.dumps(without), started, time.time()),
        )


def empty() -> None:
    """Nothing."""


def count_ours(job_id: str) -> None:
    """This project's pipeline, for a queue that is not this project's."""
    from chalicelib import pipeline

    pipeline.count_page(job_id)


celery_app = celery.Celery("bench", broker=URL)
celery_app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
celery_empty = celery_app.task(empty, name="empty")
celery_count = celery_app.task(count_ours, name="count")

dramatiq.set_broker(RedisBroker(url=URL))
dramatiq_empty = dramatiq.actor(empty, actor_name="empty", max_retries=0)
dramatiq_count = dramatiq.actor(count_ours, actor_name="count", max_retries=0)


def main(name: str) -> None:
    import rq
    from rq.serializers import JSONSerializer

    connection = redis.Redis.from_url(URL)
    if name == "usual":
        import bs4
        import nltk
        import requests

        nltk.word_tokenize("Everything is imported, and loaded, before the fork.")
        assert bs4 and requests
        rq.Worker(["bench"], connection=connection).work(logging_level="WARNING")
    elif name == "simple":
        rq.SimpleWorker(["bench"], connection=connection, serializer=JSONSerializer).work(logging_level="WARNING")
    elif name == "empty":
        from chalicelib import pipeline, worker

        pipeline.count_page = lambda *_, **__: pipeline.Outcome()  # type: ignore[assignment]
        sys.exit(worker.main())
    elif name == "endless":
        from chalicelib import worker
        from chalicelib.pool import rq_worker

        rq_worker.JOBS_A_PROCESS = 10**9  # type: ignore[misc]
        sys.exit(worker.main())


if __name__ == "__main__":
    main(sys.argv[1])
