# The worker. One stage builds a virtual environment with everything in it, the other only receives it.
ARG PYTHON_VERSION=3.13
# @sha256:… for exactly one base; empty takes the newest patches.
ARG BASE_DIGEST=

FROM python:${PYTHON_VERSION}-slim${BASE_DIGEST} AS build
RUN python -m venv /opt/wordcounts
ENV PATH=/opt/wordcounts/bin:$PATH
WORKDIR /build
COPY locks/worker.txt ./
RUN pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes --only-binary :all: -r worker.txt
COPY scripts/nltk_data.py ./
RUN python nltk_data.py
COPY chalicelib /opt/wordcounts/app/chalicelib
COPY scripts/slim.py ./
# What is not needed to run goes, and the bytecode is made now: the root file system will be read-only.
RUN python slim.py /opt/wordcounts

FROM python:${PYTHON_VERSION}-slim${BASE_DIGEST}
# The base has no bytecode of the standard library, and a process could keep none: a second of CPU at each start.
RUN python -m compileall -q --invalidation-mode unchecked-hash "$(python -c 'import os; print(os.__file__[:-6])')"
COPY --from=build /opt/wordcounts /opt/wordcounts
ENV PATH=/opt/wordcounts/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /opt/wordcounts/app
# Nothing is written but here. Named as a volume, since Fargate takes the folder's mode from it.
VOLUME /tmp
USER 10001:10001
STOPSIGNAL SIGTERM
# The parent touches this file all the time. Not asked of Python, whose start costs more than a page does.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["sh", "-c", "find /tmp -maxdepth 1 -name '*-worker-alive' -mmin -1 | grep -q ."]
CMD ["python", "-m", "chalicelib.worker"]
