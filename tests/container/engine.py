"""Podman without a registry: a stand-in for ``python:X.Y-slim`` from this machine's Debian and packaging's Python.

Everything is kept below ``.cache/container``, so that a second run builds only what has changed. Settings that
containers need where there is no systemd and little privilege stand in files there too, not in the machine's own.
"""

import configparser
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "container"
PYTHON = ROOT / ".venv-package" / "bin" / "python"
VERSION = re.findall(r"^ARG PYTHON_VERSION=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
BASE = f"localhost/python:{VERSION}-slim"  # the name that the Dockerfile's FROM finds where nothing may be pulled
IMAGE = "localhost/wordcounts-worker"
PROGRAMS = ("podman", "runc", "mmdebstrap")
ENGINE = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""
LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "__pycache__", "site-packages", "*.a", "config-*")


def missing() -> list[str]:
    """What this machine lacks to build and run the image; empty when it can."""
    lacks = [program for program in PROGRAMS if shutil.which(program) is None]
    if not Path("/etc/debian_version").exists():
        lacks.append("Debian, whose packages the stand-in base is made of")
    if not PYTHON.exists():
        lacks.append(f"Python {VERSION}, which `make .venv-package/.made` looks for")
    if os.geteuid() != 0:
        lacks.append("root")
    return lacks


def podman(*arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run podman with our storage and settings; CalledProcessError shows what it said."""
    run = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, env=environment(), timeout=timeout, check=False
    )
    if check and run.returncode:
        raise RuntimeError(
            f"podman {' '.join(arguments)}: {run.returncode}\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
        )
    return run


@functools.cache
def environment() -> dict[str, str]:
    """The environment that podman runs in."""
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "containers.conf").write_text(ENGINE)
    (CACHE / "storage.conf").write_text(STORAGE.format(CACHE))
    return os.environ | {
        "CONTAINERS_CONF": str(CACHE / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(CACHE / "storage.conf"),
    }


def build() -> str:
    """Build the worker's image, the base first where it is not there yet; returns its name."""
    if podman("image", "exists", BASE, check=False).returncode:
        _import_base()
    mounts = [argument for path in _pip_mounts() for argument in ("--volume", f"{path}:{path}:ro")]
    mounts += ["--volume", f"{_pip_settings()}:/etc/pip.conf:ro"]
    podman(
        "build", "--pull=never", "--network", "host", "--format", "docker", "--layers",
        "--build-arg", f"PYTHON_VERSION={VERSION}", *mounts, "--tag", IMAGE, str(ROOT),
    )  # fmt: skip
    return IMAGE


def unpacked_bytes(image: str) -> int:
    """The image's size: the sum of its layers."""
    return int(podman("image", "inspect", "--format", "{{.Size}}", image).stdout)


def _import_base() -> None:
    """Debian's smallest system with this Python in /usr/local, as the official image has it."""
    python = CACHE / "python"
    shutil.rmtree(python, ignore_errors=True)
    library = Path("lib") / f"python{VERSION}"
    asked = [str(PYTHON), "-c", "import sys; print(sys.base_prefix)"]
    prefix = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    shutil.copytree(prefix / library, python / library, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (python / library / "site-packages").mkdir()
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, python / "lib", follow_symlinks=False)
    (python / "bin").mkdir()
    shutil.copy2(prefix / "bin" / f"python{VERSION}", python / "bin")
    for name in ("python", "python3"):
        (python / "bin" / name).symlink_to(f"python{VERSION}")
    if shutil.which("strip"):  # as the official image's is: debug information doubles it
        shared_objects = [str(path) for path in python.rglob("*.so*") if not path.is_symlink()]
        subprocess.run(["strip", "--strip-unneeded", *shared_objects], check=True)
    archive = CACHE / "base.tar"
    merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"  # without it, perl comes to merge /usr
    keep_out = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "info", "locale", "man")]
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", merged, *keep_out,
            f"--include={','.join(['ca-certificates', *_library_packages(python)])}",
            f"--customize-hook=cp -a {python}/. $1/usr/local/ && chroot $1 ldconfig",
            platform.freedesktop_os_release()["VERSION_CODENAME"], str(archive), *_apt_sources(),
        ],
        check=True,
    )  # fmt: skip
    podman("import", str(archive), BASE)
    archive.unlink()


def _library_packages(python: Path) -> list[str]:
    """The Debian packages of the libraries that this Python's own parts are linked to."""
    parts = [python / "bin" / f"python{VERSION}", *python.rglob("lib-dynload/*.so")]
    linked = subprocess.run(["ldd", *map(str, parts)], capture_output=True, text=True, check=True).stdout
    libraries = {line.split("=> ")[1].split()[0] for line in linked.splitlines() if "=> /" in line}
    packages = set()
    for library in libraries:
        for path in {library, f"/usr{library}", os.path.realpath(library)}:
            owner = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False).stdout
            packages |= {line.split(":")[0] for line in owner.splitlines()}
    return sorted(packages)


def _apt_sources() -> Sequence[str]:
    """This machine's own sources of Debian packages, as files."""
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    return [str(file) for file in files if file.suffix in (".list", ".sources") and "debian" in file.name] or [
        str(file) for file in files if file.is_file()
    ]


@functools.cache
def _pip_config() -> dict[str, str]:
    """This machine's settings of pip, so that the image's packages come from where this Python's came."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'\"")
    return settings


def _pip_settings() -> Path:
    settings = configparser.RawConfigParser()
    settings["global"] = _pip_config()
    path = CACHE / "pip.conf"
    with path.open("w") as file:
        settings.write(file)
    return path


def _pip_mounts() -> set[str]:
    """Files and folders of this machine that pip's settings name."""
    words = [word.removeprefix("file://") for value in _pip_config().values() for word in value.split()]
    named = {word for word in words if word.startswith("/") and Path(word).exists()}
    # An index of links may point beside itself.
    return {str(Path(word).parent) if Path(word).name == "simple" else word for word in named}
