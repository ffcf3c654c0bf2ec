"""Tokens of the API: made (shown once, stored as SHA-256), listed, revoked.

Of the stack that `make run` has started here, unless TABLE_NAME or AWS_ENDPOINT_URL_DYNAMODB names another table.

usage: python -m scripts.tokens make NAME [--owner OWNER] [--days N] | list | revoke HASH | move

``revoke -`` reads the token from standard input, so that it stays out of the shell's history and the process list.
"""

import re
import secrets
import sys
from datetime import UTC, datetime

import click

from chalicelib import jobs

from .processes import join_stack

PREFIX = "wc_"  # so that a token that leaked can be told from other secrets
MOST_DAYS = 3_650


@click.group(help=(__doc__ or "").splitlines()[0])
def main() -> None:
    join_stack("TABLE_NAME", "AWS_ENDPOINT_URL_DYNAMODB")


def _named(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_.@-]{1,100}", name):
        raise click.BadParameter("A name has 1 to 100 letters, digits, '_', '-', '.' and '@'.")
    return name


@main.command()
@click.argument("name", callback=_named)
@click.option("--owner", callback=_named, help="Whose jobs it reads and makes; its name by default.")
@click.option("--days", type=click.IntRange(0, MOST_DAYS), default=0, help="How long it is valid; for good by default.")
def make(name: str, owner: str | None, days: int) -> None:
    """Make a token and print it: nobody can show it again."""
    token = PREFIX + secrets.token_urlsafe(32)
    jobs.table().put_token(jobs.token_digest(token), owner=owner or name, name=name, days=days)
    print(f"A token for {owner or name}. It is shown this once:", file=sys.stderr)
    print(token)


@main.command("list")
def show() -> None:
    """Print every token's hash, the days on which it was made, was last used and expires, its owner and name."""
    print(f"{'hash':16}  {'made':10}  {'last used':10}  {'expires':10}  owner  name", file=sys.stderr)
    for token in sorted(jobs.table().tokens(), key=lambda one: one["created_at"]):
        expires = token["expires_at"]
        days = [_day(token["created_at"]), _day(token["used_at"]), _day(expires and expires * 1000)]
        print("  ".join([token["digest"][:16], *days, token["owner"], token["name"]]))


def _day(milliseconds: int | None) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}" if milliseconds else f"{'never':10}"


@main.command()
def move() -> None:
    """List the tokens that version 0.1 has made, too."""
    print(f"{jobs.table().move_tokens()} tokens moved.")


@main.command()
@click.argument("what", metavar="HASH|TOKEN|-")
def revoke(what: str) -> None:
    """Revoke a token, given itself (-: by standard input) or at least eight digits of its hash."""
    if what == "-":
        what = sys.stdin.readline().strip()
    by_hash = re.fullmatch(r"[0-9a-f]{8,64}", what) is not None
    digest = what if by_hash else jobs.token_digest(what)
    found = [token for token in jobs.table().tokens() if token["digest"].startswith(digest)]
    if not found and not by_hash and jobs.table().token(digest):  # one of 0.1, which is not listed
        found = [{"digest": digest, **(jobs.table().token(digest) or {})}]
    if len(found) != 1:
        sys.exit("There is no such token." if not found else "That is the beginning of several.")
    jobs.table().delete_token(found[0]["digest"])
    print(f"The token {found[0]['name']} of {found[0]['owner']} is revoked.")


if __name__ == "__main__":
    try:
        main(prog_name="python -m scripts.tokens")
    except jobs.Unavailable as error:
        sys.exit(f"The job store is temporarily unavailable: {error}")
