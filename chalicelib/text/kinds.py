"""What a document is, by its media type, which types are read at all, and why a document is not."""

import re

_XML = re.compile(r"(?:text|application)/(?:[^/]+\+)?xml")
_PROGRAMS = ("text/css", "text/ecmascript", "text/javascript")
_SAYS_NOTHING = ("", "*/*", "unknown/unknown", "application/unknown")  # the WHATWG's list: such a page is HTML
_HEADER_VALUE = re.compile(r"""(?:[^,"]|"[^"]*"?)+""")  # a comma within quotes parts nothing
_MEDIA_TYPE = re.compile(r"[!#$&^_.+*a-z0-9-]+/[!#$&^_.+*a-z0-9-]+")
_CHARSET = re.compile(r"""charset\s*=\s*(?:"([^"]*)"?|([^\s;"]+))""", re.I)


def read_content_type(header: str) -> tuple[str, str]:
    """The media type and the charset that a header names; of one that came several times the last counts."""
    essence, charset = "", charset_of(header)
    for value in _HEADER_VALUE.findall(header):
        name = value.partition(";")[0].strip().lower()
        if _MEDIA_TYPE.fullmatch(name) and name not in _SAYS_NOTHING:
            charset = charset_of(value) or (charset if name == essence else "")
            essence = name
    return essence, charset


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
    return f"This is {named}; only HTML, XHTML, XML, RSS, Atom and plain text (text/*) can be counted."
