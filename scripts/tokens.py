"""Tokens of the API: made (shown once, stored as SHA-256), listed, revoked.

Of the stack that `make run` has started here, unless TABLE_NAME or AWS_ENDPOINT_URL_DYNAMODB names another table.

usage: python -m scripts.tokens make NAME [--owner OWNER] [--days N] | list | revoke HASH | move

``revoke -`` reads the token from standard input, so that it stays out of the shell's history and the process list.
"""

import argparse
import re
import secrets
import sys
from datetime import UTC, datetime

from chalicelib import jobs

from .processes import join_stack

PREFIX = "wc_"  # so that a token that leaked can be told from other secrets
MOST_DAYS = 3_650
NAME = re.compile(r"[A-Za-z0-9_.@-]{1,100}")


def make(name: str, owner: str, days: int) -> int:
    """Make a token and print it: nobody can show it again."""
    if not NAME.fullmatch(name) or not NAME.fullmatch(owner):
        print("A name has 1 to 100 letters, digits, '_', '-', '.' and '@'.", file=sys.stderr)
        return 2
    if not 0 <= days <= MOST_DAYS:
        print(f"A token is valid for 1 to {MOST_DAYS} days, or for good: 0.", file=sys.stderr)
        return 2
    token = PREFIX + secrets.token_urlsafe(32)
    jobs.table().put_token(jobs.token_digest(token), owner=owner, name=name, days=days)
    print(f"A token for {owner}. It is shown this once:", file=sys.stderr)
    print(token)
    return 0


def show() -> int:
    """Print every token's hash, the days on which it was made, was last used and expires, its owner and name."""
    print(f"{'hash':16}  {'made':10}  {'last used':10}  {'expires':10}  owner  name", file=sys.stderr)
    for token in sorted(jobs.table().tokens(), key=lambda one: one["created_at"]):
        expires = token["expires_at"]
        days = [_day(token["created_at"]), _day(token["used_at"]), _day(expires and expires * 1000)]
        print("  ".join([token["digest"][:16], *days, token["owner"], token["name"]]))
    return 0


def _day(milliseconds: int | None) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}" if milliseconds else f"{'never':10}"


def move() -> int:
    """Put the tokens that 0.1 has made among the others."""
    print(f"{jobs.table().move_tokens()} tokens moved.")
    return 0


def revoke(what: str) -> int:
    """Revoke a token, given itself (``-``: by standard input) or at least eight digits of its hash."""
    if what == "-":
        what = sys.stdin.readline().strip()
    by_hash = re.fullmatch(r"[0-9a-f]{8,64}", what) is not None
    digest = what if by_hash else jobs.token_digest(what)
    found = [token for token in jobs.table().tokens() if token["digest"].startswith(digest)]
    if not found and not by_hash and jobs.table().token(digest):  # one of 0.1, which is not listed
        found = [{"digest": digest, **(jobs.table().token(digest) or {})}]
    if len(found) != 1:
        print("There is no such token." if not found else "That is the beginning of several.", file=sys.stderr)
        return 1
    jobs.table().delete_token(found[0]["digest"])
    print(f"The token {found[0]['name']} of {found[0]['owner']} is revoked.")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.tokens", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="make a token and show it once")
    maker.add_argument("name")
    maker.add_argument("--owner", help="whose jobs it reads and makes; its name by default")
    maker.add_argument("--days", type=int, default=0, help="how long it is valid; for good by default")
    commands.add_parser("list", help="every token: hash, when it was made, last used, expires; owner and name")
    revoker = commands.add_parser("revoke", help="revoke a token")
    revoker.add_argument("token", help="the start of its hash, the token, or - to read the token from standard input")
    commands.add_parser("move", help="list the tokens that version 0.1 has made, too")
    given = parser.parse_args()
    join_stack("TABLE_NAME", "AWS_ENDPOINT_URL_DYNAMODB")
    try:
        if given.command == "make":
            return make(given.name, given.owner or given.name, given.days)
        if given.command == "move":
            return move()
        return show() if given.command == "list" else revoke(given.token)
    except jobs.Unavailable as error:
        print(f"The job store is temporarily unavailable: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
