"""The worker container's entry: ``python -m chalicelib.worker``. Its parts are in ``chalicelib/pool``."""

import os
import sys

from chalicelib import settings
from chalicelib.pool import limits
from chalicelib.pool.parent import Parent
from chalicelib.pool.reporting import logger


def main() -> int:
    """Run the pool that the settings ask for; the exit status."""
    try:
        load = settings.load()
    except settings.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    logger.setLevel(load.log_level)
    return Parent(limits.sizes(load.worker_processes, limits.cores(), limits.memory())).run()


if __name__ == "__main__":
    sys.exit(main())
