"""Makes everything that a deploy needs, without AWS: ``python -m scripts.package production``.

Writes ``build/<stage>/``: ``package/sam.json`` with ``package/deployment.zip`` (what is deployed), ``translated.json``
(the same without SAM's types) and ``report.json``. Two runs give the same bytes. The bytecode in the zip is this
Python's, so this Python's minor version is the one that Lambda runs.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra import build, checks, rights

ROOT = Path(__file__).resolve().parent.parent
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
MAX_ZIP = 5_000_000  # bytes
# Of chalicelib, what the Lambda never imports.
WORKER_ONLY = ("counting.py", "extracting.py", "fetching.py", "pipeline.py", "worker.py", "fetch", "pool", "text")
STRIPPED = re.compile(
    r"(^|/)(tests?|testing|bin|__pycache__)/|\.(pyi|pxd|c|h|so\.debug|pth)$|(^|/)py\.typed$"
    r"|\.dist-info/(RECORD|INSTALLER|WHEEL|REQUESTED|top_level\.txt|entry_points\.txt|direct_url\.json)$"
)
UNUSED = re.compile(  # parts of powertools beside its Logger and Metrics: a third of the zip
    r"^aws_lambda_powertools/(event_handler|utilities/(batch|data_classes|data_masking|feature_flags|idempotency"
    r"|kafka|parameters|parser|streaming|validation))/"
)
# Imported at each start, and used by no function: together a third of the first request's imports.
EMPTIED = {
    "aws_lambda_powertools/__init__.py": (
        "from aws_lambda_powertools.logging import Logger\n"
        "from aws_lambda_powertools.package_logger import set_package_logger_handler\n"
        "set_package_logger_handler()\n"
    ),
    "aws_lambda_powertools/tracing/__init__.py": "Tracer = None\n",
    "aws_lambda_powertools/utilities/jmespath_utils/__init__.py": "",
    "redis/asyncio/__init__.py": "",
}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold


def main(arguments: list[str]) -> int:
    """The command line; 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=build.STAGES)
    stage = parser.parse_args(arguments).stage
    out = ROOT / "build" / stage
    shutil.rmtree(out, ignore_errors=True)
    source = stage_source(out / "source")
    sam = run_chalice(source, stage, out)
    archive = out / "package" / "deployment.zip"
    install(out / "function")
    rebuild(archive, out / "function")
    for name in ("lambda", "worker"):
        list_parts(name, out / f"{name}.cdx.json")
    translated = translate(sam)
    write_json(out / "translated.json", translated)
    found = checks.faults(sam) + checks.faults(translated) + rights.faults(sam) + python_faults(sam)
    found += lint([out / "package" / "sam.json", out / "translated.json", ROOT / "infra" / "bootstrap.yaml"])
    report = describe(archive, sam)
    write_json(out / "report.json", report)
    if report["zip_bytes"] > MAX_ZIP:
        found.append(f"the zip has {report['zip_bytes']:,} bytes, more than {MAX_ZIP:,}")
    with zipfile.ZipFile(archive) as made:
        tops = {name.partition("/")[0] for name in made.namelist()}
    found += [f"{name} is in the zip" for name in ("boto3", "botocore", "nltk", "lxml") if name in tops]
    print(f"{stage}: {report['resources']} resources, a zip of {report['zip_bytes']:,} bytes, {report['zip_sha256']}")
    for fault in found:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if found else 0


def stage_source(source: Path) -> Path:
    """A copy of what the Lambda needs, so that Chalice's caches stay out of the tree and its zip without the worker."""
    left_out = shutil.ignore_patterns("__pycache__", *WORKER_ONLY)
    shutil.copytree(ROOT / "chalicelib", source / "chalicelib", ignore=left_out)
    shutil.copytree(ROOT / ".chalice", source / ".chalice", ignore=shutil.ignore_patterns("deployments", "deployed"))
    shutil.copy(ROOT / "app.py", source / "app.py")
    (source / "requirements.txt").touch()  # Chalice would take wheels without asking for their hashes
    return source


def run_chalice(source: Path, stage: str, out: Path) -> dict[str, Any]:
    """``chalice package`` with the merged template; returns the result and writes it, with sorted keys."""
    write_json(out / "merge.json", merge_template(stage))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "--project-dir", str(source)]
    command += ["package", "--stage", stage, "--merge-template", str(out / "merge.json"), str(out / "package")]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    sam: dict[str, Any] = json.loads((out / "package" / "sam.json").read_text())
    write_json(out / "package" / "sam.json", sam)
    return sam


def merge_template(stage: str) -> dict[str, Any]:
    """infra/ for this app and stage."""
    from chalicelib.store import table

    config = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"][stage]
    variables = config["environment_variables"]
    os.environ.update(variables)  # AUTH and ALLOW_ORIGIN are fixed when app.py is imported
    from app import app

    return build.template(
        stage,
        functions=[build.API, *(handler.name for handler in (*app.event_sources, *app.pure_lambda_functions))],
        table=table.TABLE,
        ttl_attribute=table.TTL_ATTRIBUTE,
        concurrency={name: given["reserved_concurrency"] for name, given in config.get("lambda_functions", {}).items()},
        allow_origin=variables.get("ALLOW_ORIGIN", ""),
        variables={name: value for name, value in variables.items() if name not in ("AUTH", "ALLOW_ORIGIN")},
    )


def install(folder: Path) -> None:
    """What the functions need, for Graviton and Amazon Linux 2023: the very files that the lock names."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--require-hashes"]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON]
    for glibc in ("2_34", "2_28", "2_17"):
        command += ["--platform", f"manylinux_{glibc}_aarch64"]
    command += ["--platform", "manylinux2014_aarch64", "--target", str(folder)]
    subprocess.run([*command, "-r", str(ROOT / "locks" / "lambda.txt")], check=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and (STRIPPED.search(name) or UNUSED.search(name)):
            path.unlink()
    for name, text in EMPTIED.items():
        (folder / name).write_text(text)


def list_parts(name: str, out: Path) -> None:
    """The bill of materials of a lock, in CycloneDX's form."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "-o", str(out)]
    subprocess.run([*command, str(ROOT / "locks" / f"{name}.txt")], check=True, capture_output=True)


def rebuild(archive: Path, folder: Path) -> None:
    """The zip again: stripped, with bytecode that is never checked, in fixed order with fixed dates."""
    with zipfile.ZipFile(archive) as made:
        made.extractall(folder, [name for name in made.namelist() if not STRIPPED.search(name)])
    command = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", "/var/task", str(folder)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "0"})
    archive.unlink()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as again:
        for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            again.writestr(entry, (folder / name).read_bytes())


def translate(sam: dict[str, Any]) -> dict[str, Any]:
    """SAM's types as plain CloudFormation, by AWS's own translator."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    plain = json.loads(json.dumps(sam))
    for resource in plain["Resources"].values():
        if resource.get("Type") == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://packages/deployment.zip"  # what `aws cloudformation package` does
    translated: dict[str, Any] = Translator({}, Parser()).translate(plain, parameter_values={})
    translated.pop("Transform", None)
    return translated


def lint(templates: Iterable[Path]) -> list[str]:
    """cfn-lint's findings, warnings among them."""
    program = "from cfnlint.runner import main; main()"
    command = [sys.executable, "-c", program, "--format", "parseable", "--regions", "us-east-1", "eu-central-1", "--"]
    command += map(str, templates)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]


def python_faults(sam: dict[str, Any]) -> list[str]:
    """The functions (Chalice knows some Pythons alone) and the image must have the Python of the zip's bytecode."""
    functions = (each["Properties"] for each in sam["Resources"].values() if each["Type"].endswith("less::Function"))
    runtimes = {each["Runtime"] for each in functions}
    fine = runtimes == {f"python{PYTHON}"} and f"\nARG PYTHON_VERSION={PYTHON}\n" in (ROOT / "Dockerfile").read_text()
    return (
        [] if fine else [f"Python {PYTHON} packages; the functions have {runtimes}, the Dockerfile names the image's"]
    )


def describe(archive: Path, sam: dict[str, Any]) -> dict[str, Any]:
    """What is in the package and what the template makes; scripts/deploy.sh reads it too."""
    resources = sam["Resources"].values()
    return {
        "zip_bytes": archive.stat().st_size,
        "zip_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "resources": len(resources),
        "reserved_concurrency": sum(
            each.get("Properties", {}).get("ReservedConcurrentExecutions", 0) for each in resources
        ),
        "page": (ROOT / "chalicelib" / "web" / "index.html").exists(),
    }


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
