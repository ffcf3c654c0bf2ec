"""The API's reference, made from the OpenAPI document as it is."""

import json
from html.parser import HTMLParser

import pytest

from chalicelib.http import openapi, reference

DOCUMENT = json.loads(openapi.document("/", auth="token"))


class Parsed(HTMLParser):
    """Ids, links within the page, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.open, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert not [name for name in given if name == "style" or name.startswith("on")]
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.open += [] if tag in ("input", "wbr") else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def parsed():
    made = reference.contents(DOCUMENT)
    return Parsed("".join(made.values()))


def test_every_operation_parameter_and_type_is_there(parsed):
    for path, item in DOCUMENT["paths"].items():
        assert path in parsed.text
        for operation in item.values():
            assert operation["operationId"] in parsed.ids
            assert operation["summary"].replace("`", "") in parsed.text
            for parameter in operation.get("parameters", ()):
                assert parameter["description"].replace("`", "") in parsed.text
    for name in DOCUMENT["components"]["schemas"]:
        assert f"schema-{name}" in parsed.ids


def test_links_lead_somewhere_and_elements_are_closed(parsed):
    assert parsed.open == []
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))


def test_what_most_readers_look_for_comes_first():
    made = reference.contents(DOCUMENT)
    for part in ("navigation", "operations"):
        names = ["submitJob", "readJob", "readWords", "readContexts", "readPhrases", "readKeywords", "makeCorpus"]
        places = [made[part].index(f'{name}"') for name in names]
        assert places == sorted(places)


def test_what_the_document_says_stays_text():
    hostile = "<img src=x onerror=alert(1)>"
    document = json.loads(json.dumps(DOCUMENT).replace("The words of a job", hostile))
    assert hostile not in "".join(reference.contents(document).values())
