"""Serves pages from memory, at once or after a delay: cheap, so that it is not what is measured.

usage: python -m benchmarks.page_server PORT [FOLDER]

``GET /<n>`` is page n of the folder (``*.html``, sorted), or a generated one where there is no folder;
``?delay=<ms>`` waits first, ``/size/<bytes>`` and ``/distinct/<words>`` make a page to measure.
"""

import asyncio
import itertools
import random
import sys
import urllib.parse
from pathlib import Path


def generated(count: int = 60) -> list[bytes]:
    """Pages with Zipf's distribution of words and as much markup as text, about 50 KB each."""
    random.seed(1)
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 10))) for _ in range(8000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    pages = []
    for _ in range(count):
        chosen = random.choices(words, weights, k=4500)
        lines = [" ".join(chosen[at : at + 15]) for at in range(0, len(chosen), 15)]
        body = "".join(
            f'<div class="row"><p id="p{n}"><a href="#{n}">{line}</a>.</p></div>' for n, line in enumerate(lines)
        )
        pages.append(f"<!doctype html><html lang=en><title>Page</title><body>{body}".encode())
    return pages


def of_size(size: int) -> bytes:
    """A page of about so many bytes, words in Zipf's distribution."""
    page = b"".join(itertools.islice(itertools.cycle(generated(8)), size // 40_000 + 1))
    return page[:size]


def of_distinct(count: int) -> bytes:
    """A page with so many distinct words, twice each."""
    names = [f"w{n:x}y" for n in range(count)]
    return ("<!doctype html><html lang=en><p>" + " ".join(names + names)).encode()


async def main(port: int, folder: Path | None) -> None:
    pages = [path.read_bytes() for path in sorted(folder.glob("*.html"))] if folder else generated()
    made: dict[str, bytes] = {}

    def body_of(path: str) -> bytes:
        if path not in made:
            kind, _, number = path.strip("/").rpartition("/")
            make = {"size": of_size, "distinct": of_distinct}.get(kind)
            made[path] = make(int(number)) if make else pages[int(number) % len(pages)]
        return made[path]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            at = urllib.parse.urlsplit(head.split(b" ", 2)[1].decode())
            delay = int(dict(urllib.parse.parse_qsl(at.query)).get("delay", 0))
            if delay:
                await asyncio.sleep(delay / 1000)
            body = body_of(at.path)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    print(f"{len(pages)} pages, {sum(map(len, pages)) // len(pages)} bytes on average", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
