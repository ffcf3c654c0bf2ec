"""What may be submitted, through any entry point: one struct and one validation. Pure.

``read`` takes what an entry point has decoded (a JSON object, a form's fields, a line of a list) and returns a
``Submission``, or raises ``InvalidSubmission`` with every fault it found, each with a JSON pointer.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chalicelib import urls
from chalicelib.errors import Fault, InvalidSubmission, Unreadable

MAX_DOCUMENT_BYTES = 5_000_000  # of a text or HTML document, as UTF-8: as many as of a page
LARGER = "Cut it into parts, or raise FETCH_MAX_BYTES and put it into the bucket or the inbox."
MAX_OPTIONS_BYTES = 16_384  # of everything else a submission says
MAX_BODY_BYTES = 10_000_000  # as API Gateway has it; Lambda takes about 4.5 MB, so API Gateway refuses more there
MAX_STRINGS = 1000  # of a body that is larger than its options may be: names and values, of which it has a dozen
MAX_DEPTH = 16  # of JSON; a submission has one level
MAX_FAULTS = 20  # that are named; a body has room for so many that no answer could hold them
MAX_NAME = 100  # characters of a field's name that a fault repeats
Made = TypeVar("Made", bound=msgspec.Struct)

Kind = Literal["url", "text", "html", "object", "compaction", "query", "source"]  # no caller submits the last four

NO_NUL = {"pattern": "^[^\\u0000]*$"}  # what ``read`` checks, for readers of the schema

Address = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=8192,
        description="Address of a page, http or https; without a scheme, https is meant.",
        examples=["https://example.com/"],
        extra_json_schema={"format": "web-address"},
    ),
]
Text = Annotated[
    str,
    Meta(
        description="A plain text of at most 5 MB as UTF-8.",
        examples=["To be, or not to be"],
        extra_json_schema=NO_NUL,
    ),
]
Html = Annotated[
    str,
    Meta(
        description="An HTML document of at most 5 MB as UTF-8.",
        examples=["<p>Hello, world</p>"],
        extra_json_schema=NO_NUL,
    ),
]
Selector = Annotated[str, Meta(min_length=1, max_length=1000, extra_json_schema=NO_NUL)]
Select = Annotated[Selector, Meta(description="CSS selector: count only inside what it matches.", examples=["main"])]
Ignore = Annotated[Selector, Meta(description="CSS selector: leave out what it matches.", examples=["nav, footer"])]
Language = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$",
        max_length=35,
        description="Language of the text as a BCP 47 tag; overrides what the page declares.",
        examples=["en", "pt-BR"],
    ),
]
Content = Annotated[
    Literal["all", "main"],
    Meta(
        description="`all` that a reader sees (the default), or the `main` text without navigation.", examples=["main"]
    ),
]
Words = Annotated[
    Literal["unicode", "nltk"],
    Meta(
        description="What a word is: by Unicode's rules, or as NLTK's `word_tokenize` has it. "
        "The default is the service's, `unicode` unless its operator chose otherwise.",
        examples=["unicode"],
    ),
]
Numbers = Annotated[
    Literal["drop", "keep"],
    Meta(description="Whether numbers are words: `drop` is the default.", examples=["drop"]),
]
KeepText = Annotated[
    bool,
    Meta(
        description="Whether the text is kept with the words, for contexts and phrases. "
        "The default is the service's, true unless its operator chose otherwise.",
    ),
]


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """A submission as a caller writes it: exactly one of `url`, `text` and `html`, and options."""

    url: Address | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    html: Html | UnsetType = UNSET
    select: Select | UnsetType = UNSET
    ignore: Ignore | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    words: Words | UnsetType = UNSET
    numbers: Numbers | UnsetType = UNSET
    keep_text: KeepText | UnsetType = UNSET


PAGE_OPTIONS = ("select", "ignore", "content")  # of a page or a document: a plain text has no such parts
COMMON_OPTIONS = ("language", "words", "numbers", "keep_text")
OPTIONS = (*PAGE_OPTIONS, *COMMON_OPTIONS)


class Submission(msgspec.Struct, frozen=True):
    """What a job will do: ``url`` holds a normalised address (or an object's), ``document`` a text or HTML document."""

    kind: Kind
    url: str | None = None
    document: str | None = None
    options: dict[str, Any] = {}  # those that were given, by name


def decode(raw: bytes) -> object:
    """The JSON of a submission. ``Unreadable``: not UTF-8, not JSON, a name twice, too deep, too large."""
    if len(raw) > MAX_BODY_BYTES:
        raise Unreadable(
            "body-too-large",
            f"The body is too large: {MAX_BODY_BYTES // 1_000_000} MB at most, this one has {len(raw)} bytes. {LARGER}",
        )
    check_shape(raw)
    return parse(raw)


def parse(raw: bytes) -> object:
    """JSON of a caller, whatever it is for. ``Unreadable``: empty, not UTF-8, not JSON, a name twice, too deep."""
    if not raw.strip():
        raise Unreadable("invalid-json", "The body is empty: JSON is expected.")
    try:
        value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Unreadable("invalid-json", f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unreadable("invalid-json", f"The body is not JSON: {error.msg.removesuffix(' at')} at {where}.") from None
    except RecursionError:
        raise Unreadable("invalid-json", f"The JSON is nested more than {MAX_DEPTH} levels deep.") from None
    except ValueError as error:
        raise Unreadable("invalid-json", f"The body is not usable JSON: {error}.") from None
    if _deeper(value, MAX_DEPTH):
        raise Unreadable("invalid-json", f"The JSON is nested more than {MAX_DEPTH} levels deep.")
    return value


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def check_shape(raw: bytes, *, strings: int = MAX_STRINGS, others: int = MAX_OPTIONS_BYTES) -> None:
    """``Unreadable`` for a large body that is not large because of its texts.

    Reading JSON holds Python's lock: half a megabyte of names or numbers would stop all other requests meanwhile.
    ``others`` are the bytes that are in no string.
    """
    if len(raw) <= others:
        return
    at = outside = 0
    for number, found in enumerate(_STRING.finditer(raw)):
        outside += found.start() - at
        at = found.end()
        if number == strings or outside > others:
            break
    else:
        outside += len(raw) - at
        if outside <= others:
            return
    detail = "The body has too many names and values beside its texts."
    raise Unreadable("invalid-json", detail)


def check_sizes(fields: object) -> None:
    """``Unreadable`` where decoded fields are larger than a submission may be.

    Measured is their shortest JSON: how it was escaped and spaced is known to some entry points only.
    """
    documents = [fields.get(kind) for kind in ("text", "html")] if isinstance(fields, Mapping) else []
    if not any(isinstance(document, str) for document in documents) and _size(fields) > MAX_OPTIONS_BYTES:
        raise Unreadable("body-too-large", "The body is too large: without text or html, 16 KiB at most.")
    for document in documents:
        if isinstance(document, str) and len(document.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
            raise Unreadable("body-too-large", f"The text or document is too long: 5 MB at most, as UTF-8. {LARGER}")


def _size(fields: object) -> int:
    return len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"duplicate key {twice[:100]!r}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def convert(fields: object, kind: type[Made]) -> Made:
    """Decoded fields as that struct; ``InvalidSubmission`` names what is wrong with them."""
    if faults := [*islice(_unreadable(fields), MAX_FAULTS)]:
        raise InvalidSubmission(*faults)
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise InvalidSubmission(_fault(str(error))) from None


def read(fields: object) -> Submission:
    """Check decoded fields and return the submission; ``InvalidSubmission`` names each fault."""
    if not isinstance(fields, Mapping):
        raise InvalidSubmission(Fault("", "must be an object with one of url, text and html"))
    if faults := [*islice(_unreadable(fields), MAX_FAULTS)]:
        raise InvalidSubmission(*faults)
    try:
        request = msgspec.convert(fields, Request)
    except msgspec.ValidationError:
        raise InvalidSubmission(*islice(_unusable(fields), MAX_FAULTS)) from None
    if isinstance(request.language, str) and request.language.endswith("\n"):  # Python's $ lets one pass
        raise InvalidSubmission(Fault("/language", _WRONG["language"]))
    given = {kind: value for kind in ("url", "text", "html") if isinstance(value := getattr(request, kind), str)}
    if len(given) != 1:
        said = "none" if not given else " and ".join(given)
        raise InvalidSubmission(Fault("", f"must have exactly one of url, text and html; it has {said}"))
    [(kind, value)] = given.items()
    options = {name: getattr(request, name) for name in OPTIONS if getattr(request, name) is not UNSET}
    if kind == "url":
        try:
            return Submission("url", url=urls.normalise(value), options=options)
        except urls.InvalidURL as error:
            raise InvalidSubmission(Fault("/url", str(error))) from None
    if len(value) > MAX_DOCUMENT_BYTES or len(value.encode()) > MAX_DOCUMENT_BYTES:
        raise InvalidSubmission(Fault(f"/{kind}", f"is too long: 5 MB at most, as UTF-8. {LARGER}"))
    if kind == "html":
        return Submission("html", document=value, options=options)
    if misplaced := [name for name in PAGE_OPTIONS if name in options]:
        raise InvalidSubmission(*(Fault(f"/{name}", "works on web pages and HTML only") for name in misplaced))
    return Submission("text", document=value, options=options)


def _unreadable(fields: object, place: str = "", levels: int = 3) -> Iterator[Fault]:
    """Lone surrogates cannot be stored, and a NUL is never part of a text that somebody meant."""
    inner = fields.items() if isinstance(fields, Mapping) else enumerate(fields) if isinstance(fields, list) else ()
    for name, value in inner:
        if isinstance(name, str) and not _encodes(name):
            yield Fault(place, "a field's name contains an unpaired surrogate")
            continue
        if isinstance(name, str) and len(name) > MAX_NAME:
            yield Fault(place, f"{name[:MAX_NAME]!r}… is not a known field")
            continue
        pointer = f"{place}/{_escape(str(name))}"
        if isinstance(value, str) and not _encodes(value):
            yield Fault(pointer, "contains an unpaired surrogate")
        elif isinstance(value, str) and "\0" in value:
            yield Fault(pointer, "contains a NUL character")
        if levels:  # what is nested deeper is no field of anything
            yield from _unreadable(value, pointer, levels - 1)


def _unusable(fields: Mapping[object, object]) -> Iterator[Fault]:
    """What is wrong with each field by itself: msgspec stops at the first."""
    for name, value in fields.items():
        try:
            msgspec.convert({name: value}, Request)
        except msgspec.ValidationError as error:
            yield _fault(str(error))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _fault(message: str) -> Fault:
    """msgspec's message as a fault: its path ``$.metadata[0]`` becomes the pointer ``/metadata/0``."""
    detail, _, path = message.partition(" - at `$")
    place = re.sub(r"[.\[]", "/", path.removesuffix("`").removesuffix("[...]").replace("]", ""))
    if match := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", detail, re.DOTALL):
        known = match[1] == "missing required"
        return Fault(f"{place}/{_escape(match[2])}", "is required" if known else "is not a known field")
    return Fault(place, in_words(detail, re.sub(r"/\d+$", "", place).rpartition("/")[2]))


_WRONG = {
    "language": "Use a language code such as en or pt-BR.",
    "content": "must be all or main",
    "words": "must be unicode or nltk",
    "numbers": "must be drop or keep",
    "keep_text": "must be true or false",
}
_FORMS = {  # of strings for which there is a pattern
    "metadata": "must begin with a letter or _ and have at most 50 letters, digits, _ and -",
    "include": "must begin with / or *",
    "exclude": "must begin with / or *",
}
_TYPES = {"str": "a string", "int": "a whole number", "float": "a number", "array": "a list", "object": "an object"}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def in_words(detail: str, name: str = "") -> str:
    """msgspec's message about the field of that name, without the names of Python's types."""
    if match := re.fullmatch(r"Expected `(\w+)`(?: of length)? ([<>]=?) (\S+)", detail):
        kind, sign, bound = match.groups()
        if kind not in ("str", "array"):
            return f"must be {_BOUNDS[sign]} {bound}"
        if sign == ">=":
            return "must not be empty"
        return f"is longer than {bound} characters" if kind == "str" else f"has more than {bound} entries"
    if name in _WRONG:
        return _WRONG[name]
    if " matching regex " in detail:
        return _FORMS[name]
    match = re.match(r"Expected `(\w+)", detail)
    return f"must be {_TYPES[match[1]]}" if match else _lower(detail)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
