"""Makes the worker's virtual environment small: ``python slim.py /opt/wordcounts``, in the image's first stage only.

Removes what a worker never reads, then compiles all that is left.
"""

import compileall
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

UNUSED = (
    "pip*",
    "aws_lambda_powertools/event_handler",  # all beside its Logger and Metrics
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("data_classes", "idempotency", "kafka", "parser")),
    "babel/locale-data/*",  # trafilatura brings it along for crawlers: 32 MB that nothing here reads
    "botocore/data/*/",  # the API models of services
    "lxml/isoschematron",
    "lxml/objectify*.so",
    *(f"**/{name}" for name in ("test", "tests", "*.pyi", "*.pxd", "*.pxi", "*.pyx", "*.c", "*.h", "__pycache__")),
)
# But the services that a worker and its credentials may call, and the one locale without which babel does not load.
KEPT = {"dynamodb", "emr-serverless", "s3", "secretsmanager", "sts", "root.dat", "en.dat"}


def main(arguments: list[str]) -> int:
    prefix = Path(arguments[0])
    [packages] = prefix.glob("lib/python*/site-packages")
    for path in [*prefix.glob("bin/pip*"), *(path for pattern in UNUSED for path in packages.glob(pattern))]:
        if path.name in KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # what was in a folder of tests is gone
    # The files will never change: a checked date would only cost time at each start.
    fine = compileall.compile_dir(prefix, quiet=1, workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
