"""Tokens of the API: made (shown once, stored as SHA-256), listed, revoked.

Of the stack that `make run` has started here, unless TABLE_NAME or AWS_ENDPOINT_URL_DYNAMODB names another table.

usage: python -m scripts.tokens make NAME [--owner OWNER] | list | revoke TOKEN-OR-HASH
"""

import argparse
import json
import os
import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from chalicelib import jobs

PREFIX = "wc_"  # so that a token that leaked can be told from other secrets
NAME = re.compile(r"[A-Za-z0-9_.@-]{1,100}")


def make(name: str, owner: str) -> int:
    """Make a token and print it: nobody can show it again."""
    if not NAME.fullmatch(name) or not NAME.fullmatch(owner):
        print("A name has 1 to 100 letters, digits, '_', '-', '.' and '@'.", file=sys.stderr)
        return 2
    token = PREFIX + secrets.token_urlsafe(32)
    jobs.table().put_token(jobs.token_digest(token), owner=owner, name=name)
    print(f"A token for {owner}. It is shown this once:", file=sys.stderr)
    print(token)
    return 0


def show() -> int:
    """Print every token's hash, owner, name and time."""
    for token in sorted(jobs.table().tokens(), key=lambda one: one["created_at"]):
        made = datetime.fromtimestamp(token["created_at"] / 1000, UTC).isoformat(timespec="seconds")
        print(f"{token['digest'][:16]}  {made}  {token['owner']}  {token['name']}")
    return 0


def revoke(what: str) -> int:
    """Revoke a token, given itself or at least eight digits of its hash."""
    by_hash = re.fullmatch(r"[0-9a-f]{8,64}", what) is not None
    digest = what if by_hash else jobs.token_digest(what)
    found = [token for token in jobs.table().tokens() if token["digest"].startswith(digest)]
    if len(found) != 1:
        print("There is no such token." if not found else "That is the beginning of several.", file=sys.stderr)
        return 1
    jobs.table().delete_token(found[0]["digest"])
    print(f"The token {found[0]['name']} of {found[0]['owner']} is revoked.")
    return 0


def _find_stack(file: Path) -> None:
    """Take the local stack's table where the environment names none."""
    if not (os.environ.get("TABLE_NAME") or os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")) and file.is_file():
        os.environ.update(json.loads(file.read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.tokens", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="make a token and show it once")
    maker.add_argument("name")
    maker.add_argument("--owner", help="whose jobs it reads and makes; its name by default")
    commands.add_parser("list", help="hash, time, owner and name of every token")
    commands.add_parser("revoke", help="revoke a token").add_argument("token", help="the token, or its hash's start")
    given = parser.parse_args()
    _find_stack(Path(os.environ.get("DATA_DIR") or ".local") / "environment.json")
    try:
        if given.command == "make":
            return make(given.name, given.owner or given.name)
        return show() if given.command == "list" else revoke(given.token)
    except jobs.Unavailable as error:
        print(f"The job store is temporarily unavailable: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
