"""A list whose handler is killed half-way, in small; tests/faults has it with 100,000 lines."""

import pytest

from tests.conftest import Table
from tests.faults.test_event_lists import aws, killed_half_way

__all__ = ["aws"]


@pytest.mark.long
def test_a_short_list_killed_half_way_and_run_again_loses_and_doubles_nothing(
    dynalite_table: Table, aws: dict[str, str]
) -> None:
    killed_half_way(dynalite_table, aws, 3000)
