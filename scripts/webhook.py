"""Posts the events of ended jobs to WEBHOOK_URL, on one machine; on AWS an API destination does (infra/events.yaml).

A thread of its own sends, so that nothing waits for a slow receiver: what does not fit into its queue is dropped and
counted. The address may hold a secret in its path or query: the log names its host only.
"""

import http.client
import logging
import queue
import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

WAITING_MOST = 1000  # events that wait to be sent; each has 200 KB at most
SECONDS = 10.0  # for one post, from the connection to the status
PAUSES = (1.0, 5.0, 25.0)  # before it is sent again; then it is dropped

logger = logging.getLogger("feed")


class Webhook:
    """One receiver; an empty address is none."""

    def __init__(self, url: str, pauses: Sequence[float] = PAUSES, seconds: float = SECONDS) -> None:
        self._url = urlsplit(url)
        self._pauses, self._seconds = pauses, seconds
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING_MOST)
        self.dropped = 0
        if url:
            threading.Thread(target=self._run, daemon=True).start()

    def send(self, event: bytes) -> None:
        """Have an event posted, in its turn; returns at once."""
        if not self._url.netloc:
            return
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._drop("too many events wait")

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        logger.warning("webhook %s: an event was dropped (%d so far): %s", self._url.hostname, self.dropped, reason)

    def _run(self) -> None:
        while True:
            event = self._waiting.get()
            for pause in (*self._pauses, None):
                reason, again = self._posted(event)
                if reason is None:
                    break
                if pause is None or not again:
                    self._drop(reason)
                    break
                time.sleep(pause)

    def _posted(self, event: bytes) -> tuple[str | None, bool]:
        """Why the event was not taken, or None, and whether it may be taken later."""
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._seconds)

        def give_up() -> None:  # a time-out is for one read; a receiver may send a byte now and then
            if (opened := connection.sock) is not None:
                opened.shutdown(socket.SHUT_RDWR)

        deadline = threading.Timer(self._seconds, give_up)
        deadline.start()
        try:
            path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
            headers = {"Content-Type": "application/cloudevents+json", "User-Agent": "wordcounts"}
            connection.request("POST", path, event, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {type(error).__name__}", True
        finally:
            deadline.cancel()
            connection.close()
        if 200 <= status < 300:
            return None, False
        return f"it answered {status}", status == 429 or status >= 500
