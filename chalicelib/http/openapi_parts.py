"""What the OpenAPI document is put together from: parameters, answers, problems, operations. Pure."""

from typing import Any

import msgspec

from chalicelib.errors import PROBLEMS
from chalicelib.http import examples
from chalicelib.http.responses import CSV, JSON, PROBLEM
from chalicelib.http.schemas import URN, Problem

REFERENCE = "#/components/schemas/{name}"
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


def answer(description: str, kind: type | None, *headers: str, **content: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"description": description}
    if headers:
        made["headers"] = {name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in headers}
    if kind is not None:
        example = {"example": examples.OF[kind]} if kind in examples.OF else {}
        made["content"] = {JSON: {"schema": ref(kind), **example}, **content.get("more", {})}
    if "links" in content:
        made["links"] = content["links"]
    return made


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


def operation(name: str, summary: str, answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, **more, "responses": dict(sorted(answers.items()))}


def file(read: dict[str, Any], summary: str) -> dict[str, Any]:
    """The operation that answers as a CSV file what ``read`` answers."""
    shown = answer("The whole table, in UTF-8 with a byte-order mark.", None, "Content-Disposition", "Link")
    shown["content"] = {CSV: {"schema": {"type": "string"}, **_example(read["responses"]["200"]["content"][CSV])}}
    answers = {status: one for status, one in read["responses"].items() if status != "202"}
    answers |= {"200": shown, **problems(409)}
    return operation(f"{read['operationId']}File", summary, answers, parameters=read["parameters"])


def _example(content: dict[str, Any]) -> dict[str, Any]:
    return {"example": "\ufeff" + content["example"]} if "example" in content else {}


ALWAYS = (400, 403, 404, 405, 406, 413, 421, 431, 500, 503)
