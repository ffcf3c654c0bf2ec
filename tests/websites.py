"""Honest web sites on loopback, as the tests need them; those that mean harm are in hostile.py."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(BaseHTTPRequestHandler):
    """A site is a class with ``page(path) -> (status, content type, body)``."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one segment for headers and body: two would wait for the client's delayed ACK

    def page(self, path: str) -> tuple[int, str, bytes]:
        raise NotImplementedError

    def do_GET(self) -> None:
        status, kind, body = self.page(self.path)
        with contextlib.suppress(ConnectionError):  # who asked may be gone, or killed
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(site: type[Site]) -> Iterator[str]:
    """Serve a site; yields its base URL, without a slash at its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), site) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
