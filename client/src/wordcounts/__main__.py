"""``python -m wordcounts`` is the command ``wordcounts``."""

from .cli import main

main()
