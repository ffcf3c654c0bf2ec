"""What a document is, by its media type, which types are read at all, and why a document is not."""

import re

from chalicelib.errors import AttemptFailed, ErrorKind


class BadEncoding(AttemptFailed):
    """The page declares an encoding that no browser reads as text any more (WHATWG calls it *replacement*)."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorKind.BAD_ENCODING, detail)


class BadSelector(AttemptFailed):
    """``select`` or ``ignore`` is no CSS selector, or costs more than a job may take; the message says which."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorKind.BAD_SELECTOR, detail)


class NotText(AttemptFailed):
    """The document is of a type that is not read; the message names it and those that are."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorKind.NOT_TEXT, detail)


class TooLarge(AttemptFailed):
    """The tree of the document would take more memory than a job may use."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorKind.TOO_LARGE, detail)


ACCEPTED = "HTML, XHTML, XML, RSS, Atom and plain text (text/*)"
_XML = re.compile(r"(?:text/|application/(?:[^/]+\+)?)xml")
_PROGRAMS = ("text/css", "text/ecmascript", "text/javascript")
_SAYS_NOTHING = ("", "*/*", "unknown/unknown", "application/unknown")  # the WHATWG's list: such a page is HTML
_HEADER_VALUE = re.compile(r"""(?:[^,"]|"[^"]*"?)+""")  # a comma within quotes parts nothing
_MEDIA_TYPE = re.compile(r"[!#$&^_.+*a-z0-9-]+/[!#$&^_.+*a-z0-9-]+")
_CHARSET = re.compile(r"""charset\s*=\s*(?:"([^"]*)"?|([^\s;"]+))""", re.I)


def read_content_type(header: str) -> tuple[str, str]:
    """The media type and the charset of a header; of one that came several times the last counts, as in browsers."""
    essence, charset = "", charset_of(header)
    for value in _HEADER_VALUE.findall(header):
        name = value.partition(";")[0].strip().lower()
        if "/" in name and name != "*/*":
            charset = charset_of(value) or (charset if name == essence else "")
            essence = name
    return essence, charset


def media_type(header: str) -> str:
    """The last media type that a header names, without its parameters; empty where it names none."""
    named = [value.partition(";")[0].strip().lower() for value in _HEADER_VALUE.findall(header)]
    valid = [name for name in named if _MEDIA_TYPE.fullmatch(name) and name not in _SAYS_NOTHING]
    return valid[-1] if valid else ""


def charset_of(header: str) -> str:
    """The charset that a header or a ``meta`` names, or nothing."""
    found = _CHARSET.search(header)
    return (found[1] or found[2] or "") if found else ""


def kind_of(media_type: str) -> str | None:
    """html, xml, plain, or None where the type is none that is read."""
    if media_type in _SAYS_NOTHING or media_type == "text/html":
        return "html"
    if _XML.fullmatch(media_type):
        return "xml"
    return "plain" if media_type.startswith("text/") and media_type not in _PROGRAMS else None


def refusal(media_type: str) -> str:
    """A sentence for whoever sent a document of a type that is not read."""
    named = re.sub(r"[^\x21-\x7e]+", "?", media_type)[:100]  # a server's words
    return f"This is {named}; only {ACCEPTED} can be counted."
