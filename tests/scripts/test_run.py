"""Which port the launcher suggests where the wanted one cannot be had."""

import re
import socket

import pytest

from scripts import run


def suggested(port: int) -> int:
    with pytest.raises(run.CannotStart) as refused:
        run._check_free(port)
    found = re.fullmatch(rf"Port {port} cannot be had \(.+\); another: make run PORT=(\d+)", str(refused.value))
    assert found is not None
    return int(found[1])


def test_a_taken_port_suggests_one_that_can_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run._check_free(suggested(taken.getsockname()[1]))


def test_a_port_for_the_administrator_alone_suggests_one_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_why_not", lambda port: "Permission denied" if port < 1024 else None)
    assert (suggested(80), suggested(443)) == (8080, 8443)
    monkeypatch.setattr(run, "_why_not", lambda port: "Address already in use" if port > 65_000 else None)
    assert 1024 <= suggested(65_500) < 65_536
