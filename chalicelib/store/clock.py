"""DynamoDB's time, whatever the time of this machine is. Pure."""

import re
import time
from datetime import UTC, datetime

_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """DynamoDB's time, learned from the ``Date`` of its answers, so that a wrong clock here steals no lease.

    ``Date`` has whole seconds, so a difference under two seconds is taken for none.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._looked = float("-inf")

    @property
    def known(self) -> bool:
        """Whether an answer has been seen yet."""
        return self._looked > float("-inf")

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._offset

    def observe(self, date: str | None) -> None:
        """Take a ``Date`` header (as HTTP writes it today) into account; at most once a second, since it costs."""
        if date is None or time.monotonic() - self._looked < 1:
            return
        found = _DATE.fullmatch(date)
        if found is None or found[2] not in _MONTHS:
            return
        day, year, hour, minute, second = map(int, found.group(1, 3, 4, 5, 6))
        try:
            moment = datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
        except ValueError:
            return
        theirs = int(moment.timestamp() * 1000) + 500
        if abs(theirs - self.now()) > 2000:
            self._offset = theirs - time.time_ns() // 1_000_000
        self._looked = time.monotonic()
