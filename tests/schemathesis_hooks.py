"""What schemathesis needs to know of this API and no JSON Schema says: which addresses can be submitted; a key is
never used for two submissions, since that is an error on purpose; and which parameters exclude each other.
"""

import re
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

_LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
# Names under .invalid and a closed port: no job that these tests submit may load anything.
WEB_ADDRESSES = st.one_of(
    st.builds(lambda label, path: f"https://{label}.invalid/{path}", _LABEL, _TEXT),
    st.builds(lambda label, query: f"{label}.invalid?{query}", _LABEL, _TEXT),
    st.builds(lambda path: f"http://127.0.0.1:9/{path}", _TEXT),
)
_USABLE_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")

schemathesis.openapi.format("web-address", WEB_ADDRESSES)


def _one_of_two(query: dict[str, Any]) -> None:
    """A word or a phrase, not both and not none: what is right by itself but not together is put right."""
    usable = [
        name for name in ("word", "phrase") if isinstance(value := query.get(name), str) and 0 < len(value) <= 1000
    ]
    if len(usable) == 2:
        del query["phrase"]
    elif "word" not in query and "phrase" not in query:
        query["word"] = "word"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A usable key becomes a new one: the same value comes in many cases, each with another submission."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and _USABLE_KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    table = case.path.removesuffix(".csv").rpartition("/")[2]
    if table == "contexts":
        case.query = case.query or {}
        _one_of_two(case.query)
    if table == "phrases" and (case.query or {}).get("measure") == "g2" and "n" in case.query:
        case.query["measure"] = "logdice"  # g2 is of two words
