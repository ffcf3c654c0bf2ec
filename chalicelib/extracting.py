"""Bytes of a page to the words that a reader sees, in the reader's order: what a browser's innerText gives with
scripting off, its default styles, the ``hidden`` attribute and inline styles.

The bytes are decoded (text/decoding.py), turbohtml builds the tree that a browser builds (XML is written again as HTML
first: text/xml.py), and the tree becomes text (text/rendering.py). CSS selectors narrow the tree (text/selecting.py),
``content="main"`` leaves out what is around an article (text/article.py); both are loaded when first asked for.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from turbohtml import Namespace

from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.text import kinds, xml
from chalicelib.text.decoding import decode
from chalicelib.text.rendering import text_of, tree_of


@dataclass(frozen=True, slots=True)
class Page:
    """What a reader sees of a page.

    ``text``: the words; each block is a line, table cells are apart by tabs. ``title``: None without one. ``language``:
    the tag as the page declares it, lower case with hyphens (``pt-br``), or None. ``encoding``: the WHATWG name, lower
    case. ``content``: ``{"mode": "all" or "main", "words_left_out": n}``, what the text is of the page.
    """

    text: str
    title: str | None
    language: str | None
    encoding: str
    content: dict[str, Any] = field(default_factory=lambda: {"mode": "all", "words_left_out": 0})


def extract(
    body: bytes,
    content_type: str | None = None,
    *,
    select: str | None = None,
    ignore: str | None = None,
    content: str = "all",
    content_language: str | None = None,
) -> Page:
    """Read a page as a browser shows it, narrowed by two optional CSS selectors, or else to its main content.

    ``content_type`` and ``content_language`` are the HTTP headers; without a type the page is HTML. Raises
    AttemptFailed: bad selector, bad encoding, not text, and too large where a page needs more memory than there is.
    """
    media_type, charset = kinds.read_content_type(content_type or "")
    kind = kinds.kind_of(media_type)
    if kind is None:
        raise AttemptFailed(ErrorKind.NOT_TEXT, kinds.refusal(media_type))
    text, encoding = decode(body, charset, kind)
    if kind == "plain":
        return Page(text.replace("\0", ""), None, _language(content_language), encoding)
    tree, declared, is_page = xml.tree_of(text.replace("\0", "")) if kind == "xml" else (tree_of(text), None, True)
    telling = list(tree.iter_elements({"html", "body", "title", "xml-title", "meta"}))
    titles = [e for e in telling if e.tag.endswith("title") and e.namespace is Namespace.HTML]
    title = " ".join(titles[0].text.split()) if titles else None
    named = [e.attrs.get("lang") or e.attrs.get("xml:lang") for e in telling if e.tag in ("html", "body")]
    metas = [e.attrs.get("content") for e in telling if (e.attrs.get("http-equiv") or "").lower() == "content-language"]
    language = _language(declared, *named, content_language, *metas)
    if select or ignore:
        from chalicelib.text.selecting import narrow  # these two load a lot, which few jobs need

        narrow(tree, select, ignore, xml=kind == "xml")
    page = Page(text_of(tree), title, language, encoding)
    if content == "main" and is_page and not (select or ignore):
        from chalicelib.text.article import main_text

        if found := main_text(text, page.text):
            return replace(page, text=found[0], content={"mode": "main", "words_left_out": found[1]})
    return page


def _language(*declared: str | None) -> str | None:
    """The first tag that is one, lower case with hyphens; of a list the first language."""
    for tag in declared:
        tag = (tag or "").split(",")[0].strip().lower().replace("_", "-")
        if re.fullmatch(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*", tag):
            return tag
    return None
