"""Makes the worker's virtual environment small: ``python slim.py /opt/wordcounts``, in the image's first stage only.

Removes what a worker never reads (pip, tests, the API models of AWS services that it does not call), then compiles
all that is left.
"""

import compileall
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

SERVICES = {"dynamodb", "emr-serverless", "s3", "secretsmanager", "sts"}  # what a worker and its credentials may call
LOCALES = {"root.dat", "en.dat"}  # of babel, which trafilatura brings along for crawlers: 32 MB that nothing here reads
UNUSED = (  # of what comes along: powertools beside its Logger and Metrics, lxml's objects of Python
    "aws_lambda_powertools/event_handler",
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("data_classes", "idempotency", "kafka", "parser")),
    "lxml/isoschematron",
    "lxml/objectify*.so",
)
BUILD_TOOLS = ("pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack")


def main(arguments: list[str]) -> int:
    prefix = Path(arguments[0])
    [packages] = prefix.glob("lib/python*/site-packages")
    for name in BUILD_TOOLS:
        for path in (packages / name, *packages.glob(f"{name}-*.dist-info")):
            shutil.rmtree(path, ignore_errors=True)
    for left in (*prefix.glob("bin/pip*"), packages / "distutils-precedence.pth"):
        left.unlink(missing_ok=True)
    # nltk.test and its like: a worker imports none of them.
    for data in (packages / "botocore" / "data").iterdir():
        if data.is_dir() and data.name not in SERVICES:
            shutil.rmtree(data)
    for locale in (packages / "babel" / "locale-data").iterdir():
        if locale.name not in LOCALES:
            locale.unlink()
    for path in [path for pattern in UNUSED for path in packages.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in [*packages.rglob("tests"), *packages.rglob("test"), *prefix.rglob("__pycache__")]:
        if folder.is_dir():
            shutil.rmtree(folder)
    for pattern in ("*.pyi", "*.pxd", "*.pxi", "*.pyx", "*.c", "*.h"):
        for path in packages.rglob(pattern):
            path.unlink()
    # The files will never change: a checked date would only cost time at each start.
    fine = compileall.compile_dir(prefix, quiet=1, workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
