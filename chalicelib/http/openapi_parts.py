"""What the OpenAPI document is put together from: parameters, answers, problems, operations. Pure."""

import re
from typing import Any

import msgspec

from chalicelib.errors import PROBLEMS
from chalicelib.http import examples
from chalicelib.http.responses import CSV, JSON, PROBLEM
from chalicelib.http.schemas import URN, Problem

REFERENCE = "#/components/schemas/{name}"
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: answer when the job has ended, or after N seconds, 20 at most (RFC 7240).",
    "schema": {"type": "string"},
    "example": "wait=2",
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request gives the same job, corpus or source; with another an error.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Location": ("Where the job is.", {"type": "string"}),
    "Retry-After": ("Seconds after which to ask again.", {"type": "integer", "minimum": 1}),
    "Preference-Applied": ("That the answer waited.", {"type": "string"}),
    "Idempotency-Replayed": ("That the job was there already.", {"type": "string", "enum": ["true"]}),
    "ETag": ("Changes with the answer.", {"type": "string"}),
    "Link": ("The following page, as `rel=next`.", {"type": "string"}),
    "Content-Disposition": ("That it is a file, and its name.", {"type": "string"}),
    "Allow": ("The methods that are served.", {"type": "string"}),
}


def parameters(kind: type) -> list[dict[str, Any]]:
    """A query struct's fields as parameters."""
    _, found = msgspec.json.schema_components([kind], ref_template=REFERENCE)
    made = []
    for name, schema in found[kind.__name__]["properties"].items():
        parameter = {"name": name, "in": "query", "description": schema.pop("description"), "schema": schema}
        if name in found[kind.__name__].get("required", ()):
            parameter["required"] = True
        made.append(parameter)
    return made


def ref(kind: type) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def answer(description: str, kind: type | None, *headers: str, **more: Any) -> dict[str, Any]:
    """An answer with a struct's JSON; ``content`` has other media types, and ``links`` are OpenAPI's."""
    made: dict[str, Any] = {"description": description}
    if headers:
        made["headers"] = {name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in headers}
    content = more.pop("content", {})
    if kind is not None:
        example = {"example": examples.OF[kind]} if kind in examples.OF else {}
        content = {JSON: {"schema": ref(kind), **example}, **content}
    return made | ({"content": content} if content else {}) | more


def text(example: str | None = None) -> dict[str, Any]:
    """A media type that is no JSON."""
    return {"schema": {"type": "string"}} | ({} if example is None else {"example": example})


def problems(*statuses: int) -> dict[str, Any]:
    return {str(status): _problem(status) for status in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    names = [name for name, kind in PROBLEMS.items() if kind.status == status]
    kinds = ", ".join(f"`{URN}{name}`" for name in names)
    shown = {
        name: {"value": {"type": URN + name, "title": PROBLEMS[name].title, "status": status, "detail": "…"}}
        for name in names
    }
    made: dict[str, Any] = {
        "description": f"{PROBLEMS[names[0]].title}: {kinds}" + (", or why the job failed" if status == 409 else ""),
        "content": {PROBLEM: {"schema": ref(Problem), "examples": shown}},
    }
    header = {405: "Allow", 429: "Retry-After", 503: "Retry-After"}.get(status)
    if header:
        made["headers"] = {header: {"description": _HEADERS[header][0], "schema": _HEADERS[header][1]}}
    return made


class Paths(dict[str, dict[str, Any]]):
    """The operations by path and method. What follows from the path, and what every operation may answer, is added."""

    def add(self, place: str, name: str, summary: str, answers: dict[str, Any], **more: Any) -> None:
        """Add an operation at a place such as ``GET /jobs``.

        ``query`` is the struct of its query, ``headers`` are the parameters in headers, ``body`` is the content of its
        request; ``refused`` has statuses of problems beside the usual ones, and ``usual`` others in their place.
        """
        method, path = place.split()
        made: dict[str, Any] = {"operationId": name, "summary": summary}
        given = [_IN_PATH[part] for part in _PARTS.findall(path)]
        given += parameters(more["query"]) if "query" in more else []
        given += more.get("headers", ())
        if given:
            made["parameters"] = given
        statuses = {*more.get("usual", _USUAL), *more.get("refused", ())} | ({410} if "{" in path else set())
        if "body" in more:
            made["requestBody"] = {"required": True, "content": more["body"]}
            statuses |= {415, 422}
        if "security" in more:
            made["security"] = more["security"]
        made["responses"] = dict(sorted({**problems(*statuses), **answers}.items()))
        self.setdefault(path, {})[method.lower()] = made

    def add_file(self, path: str, summary: str) -> None:
        """Add that a table can be had as a file."""
        read = self[path]["get"]
        content = dict(read["responses"]["200"]["content"][CSV])
        if "example" in content:
            content["example"] = "\ufeff" + content["example"]
        said = "The whole table, in UTF-8 with a byte-order mark."
        shown = answer(said, None, "Content-Disposition", "Link", content={CSV: content})
        answers = {status: one for status, one in read["responses"].items() if status != "202"}
        answers |= {"200": shown, **problems(409)}
        made = {"operationId": f"{read['operationId']}File", "summary": summary, "parameters": read["parameters"]}
        self[f"{path}.csv"] = {"get": {**made, "responses": answers}}

    def secure(self) -> None:
        """Add what may be answered where a token is needed."""
        for operation in (one for methods in self.values() for one in methods.values()):
            if "security" not in operation:
                operation["responses"] = dict(sorted({**operation["responses"], **problems(401, 429)}.items()))


_USUAL = (400, 403, 404, 405, 406, 413, 421, 431, 500, 503)
_PARTS = re.compile(r"\{(\w+)\}")
_IN_PATH = {
    f"{what}_id": {
        "name": f"{what}_id",
        "in": "path",
        "required": True,
        "description": f"The {whose} `id`.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "example": example,
    }
    for what, whose, example in (
        ("job", "job's", examples.JOB["id"]),
        ("corpus", "corpus'", "5d2f7a0c9be14b8e93c1f0a6d4e8b721"),
        ("source", "source's", "5d2f7a0c9be14b8e93c1f0a6d4e8b721"),
    )
}
