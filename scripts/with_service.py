"""Run the command `wordcounts` with the service that runs on this machine, or with one that lives for this call alone.

usage: python -m scripts.with_service count README.md --csv
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from wordcounts import cli, client
from wordcounts.cli.options import Session
from wordcounts.errors import Unreachable


def main(arguments: list[str]) -> int:
    try:
        with _service():
            return cli.run(arguments, Session())
    except KeyboardInterrupt:
        return 130


@contextlib.contextmanager
def _service() -> Iterator[None]:
    """The service that WORDCOUNTS_URL names, else the one that runs here, else one that lives as long as this call."""
    address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    if "WORDCOUNTS_URL" in os.environ or _runs(address):
        os.environ.setdefault("WORDCOUNTS_URL", address)
        yield
        return
    from . import run

    screen = Session().screen
    screen.say("no service runs here: starting one for this call")
    try:
        with run.running_stack() as url:
            os.environ["WORDCOUNTS_URL"] = url
            yield
    except run.CannotStart as error:
        screen.say(str(error))
        raise SystemExit(cli.AWAY) from None


def _runs(address: str) -> bool:
    with client.Client(address, retries=0) as service, contextlib.suppress(Unreachable):
        return bool(service.health())
    return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stack that lives for this call ends with it
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that still wait for the service would be waited for
