"""What the operator's commands say before they begin."""

import pytest

from scripts import processes


def test_a_bad_setting_ends_a_command_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "x")
    with pytest.raises(SystemExit, match=r"^TABLE_NAME: expected 3 to 255 letters") as ended:
        processes.join_stack("TABLE_NAME")
    assert isinstance(ended.value.code, str)
