"""Put NLTK's `punkt_tab` and `stopwords` where NLTK finds them by itself: `<sys.prefix>/share/nltk_data`.

NLTK's own downloader comes first. Where its server cannot be reached, the same files come out of a wheel on the package
index. Either way the installed trees must have the checksums below. Quick when they are there already.

usage: python scripts/nltk_data.py [directory]
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

# SHA-256 of each tree in canonical form (see `checksum`): NLTK's server hands out archives, the wheel plain files.
TREES = {
    "tokenizers/punkt_tab": "8735077165c0a03c8dc48f25aaacc828acffeda9a457f5211166056490940b54",
    "corpora/stopwords": "0af583226c2343a058ea2d8b0bb77e5bae046a347911076b72ca55a42c55db6f",
}
WHEEL = "llama-index-core==0.14.25"  # carries NLTK's files unchanged
WHEEL_FOLDER = "llama_index/core/_static/nltk_cache/"
DOWNLOADER_SECONDS = 45  # its server hangs rather than refuses in some networks


def checksum(tree: Path) -> str:
    """SHA-256 over the tree's files sorted by path, each as path, size and content; READMEs and hidden files apart."""
    digest = hashlib.sha256()
    for path in sorted(data_files(tree), key=lambda path: path.relative_to(tree).as_posix()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(tree).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def data_files(tree: Path) -> list[Path]:
    return [
        path for path in tree.rglob("*") if path.is_file() and path.name != "README" and not path.name.startswith(".")
    ]


def wrong_trees(folder: Path) -> list[str]:
    return [name for name, expected in TREES.items() if checksum(folder / name) != expected]


def from_nltk(folder: Path) -> None:
    packages = [name.rpartition("/")[2] for name in TREES]
    command = [sys.executable, "-m", "nltk.downloader", "-q", "-d", str(folder), *packages]
    subprocess.run(command, check=True, timeout=DOWNLOADER_SECONDS)


def from_wheel(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, "-d", str(folder), WHEEL], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for member in wheel.infolist():
            path = member.filename.removeprefix(WHEEL_FOLDER)
            if member.filename != path and path.startswith(tuple(f"{name}/" for name in TREES)):
                member.filename = path
                wheel.extract(member, folder)


def fetch(source: Callable[[Path], None], target: Path) -> str:
    """Fetch into a temporary folder, check, then move into place; says what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            source(folder)
        except subprocess.TimeoutExpired:
            return f"no answer in {DOWNLOADER_SECONDS} s"
        except subprocess.CalledProcessError as error:
            return f"exit status {error.returncode}"
        if wrong := wrong_trees(folder):  # NLTK's downloader ends with status 0 whatever happened
            return f"not delivered, or not the expected content: {', '.join(wrong)}"
        for name in TREES:
            shutil.rmtree(target / name, ignore_errors=True)
            for path in data_files(folder / name):
                place = target / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    return ""


def forbid_others(folder: Path) -> None:
    """Take the right to write from everybody but the owner: NLTK does not read what others may write."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o022)


def main(arguments: list[str]) -> int:
    target = Path(arguments[0]) if arguments else Path(sys.prefix) / "share" / "nltk_data"
    os.umask(0o022)
    if not wrong_trees(target):
        forbid_others(target)
        print(f"NLTK data: already in {target}")
        return 0
    for label, source in (("NLTK's downloader", from_nltk), (f"the wheel {WHEEL}", from_wheel)):
        print(f"NLTK data: asking {label}", flush=True)
        problem = fetch(source, target)
        if not problem:
            print(f"NLTK data: from {label} into {target}")
            return 0
        print(f"NLTK data: {label}: {problem}", file=sys.stderr)
    print("NLTK data: could not be fetched; counting needs it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
