"""Run the command `wordcounts` with the service that runs on this machine, or with one that lives for this call alone.

usage: python -m scripts.with_service count README.md --csv
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from wordcounts import cli, client
from wordcounts.cli.options import Session
from wordcounts.errors import Unreachable

from . import processes, run


def main(arguments: list[str]) -> int:
    screen = Session().screen
    try:
        with contextlib.ExitStack() as own:
            if "WORDCOUNTS_URL" not in os.environ:
                address = next(filter(_runs, _addresses()), None)
                if address is None:
                    screen.say("no service runs here: starting one for this call")
                    address = own.enter_context(run.running_stack())
                os.environ["WORDCOUNTS_URL"] = address
            return cli.run(arguments, Session())
    except run.CannotStart as error:
        screen.say(str(error))
        return cli.AWAY
    except KeyboardInterrupt:
        return 130


def _addresses() -> Iterator[str]:
    """Where the service may run: at PORT, and, where no port of its own is asked for, as the stack of DATA_DIR."""
    port = os.environ.get("PORT") or str(run.PORT)
    yield f"http://127.0.0.1:{port}"
    file = Path(os.environ.get("DATA_DIR") or processes.DATA_DIR) / "environment.json"
    if port == str(run.PORT) and file.is_file() and (noted := json.loads(file.read_text()).get("WORDCOUNTS_URL")):
        yield noted


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
