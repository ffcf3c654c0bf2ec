"""The API's reference as HTML, made from its OpenAPI document. Pure: every value is escaped, nothing is looked up."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
Operation = tuple[str, str, Schema]  # method, path, and what OpenAPI says of it
_METHODS = ("post", "get", "put", "patch", "delete")  # making comes before reading
_GROUPS = (  # in this order; the first whose pattern a path fits has its operations
    ("Jobs", r"^/jobs(/\{job_id\}(/cancel)?)?$"),
    ("Words", r"^/jobs/.*/words"),
    ("Contexts", r"^/jobs/.*/(contexts|places|text)"),
    ("Phrases", r"^/jobs/.*/phrases"),
    ("Keywords", r"^/jobs/.*/keywords"),
    ("Corpora", r"^/corpora"),
    ("The service", r""),
)
_CODE = re.compile(r"`([^`]+)`")
_CORPUS_OR_JOB = re.compile(r"\{(?:job|corpus)_id\}")


def contents(document: Mapping[str, Any]) -> dict[str, str]:
    """What the template ``docs.html`` wants: description, navigation, operations and schemas, as HTML."""
    groups = _groups(document)
    return {
        "description": "".join(f"<p>{_prose(part)}</p>" for part in document["info"]["description"].split("\n\n")),
        "navigation": "".join(
            f'<li><a href="#{_text(operations[0][2]["operationId"])}">{title}</a>'
            f"<ul>{''.join(_entry(*one) for one in operations)}</ul></li>"
            for title, operations in groups.items()
        ),
        "operations": "".join(_operation(*one) for operations in groups.values() for one in operations),
        "schemas": "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())),
    }


def _groups(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """The operations by what they are about, what most readers look for first."""
    found: dict[str, list[Operation]] = {title: [] for title, _ in _GROUPS}
    for path, item in document["paths"].items():
        group = found[next(title for title, pattern in _GROUPS if re.search(pattern, path))]
        group += [(method, path, item[method]) for method in _METHODS if method in item]
    return {title: operations for title, operations in found.items() if operations}


def _entry(method: str, path: str, operation: Schema) -> str:
    # a line may end behind a slash
    shown = _text(path).replace("/", "/<wbr>")
    return (
        f'<li><a href="#{_text(operation["operationId"])}"><b class="{method}">{method.upper()}</b> '
        f"<code>{shown}</code></a></li>"
    )


def _operation(method: str, path: str, operation: Schema) -> str:
    name = _text(operation["operationId"])
    return (
        f'<section class="operation" id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title"><b class="{method}">{method.upper()}</b> <code>{_text(path)}</code></h2>'
        f"<p>{_prose(operation['summary'])}.</p>"
        f"{_parameters(operation)}{_body(operation)}"
        f'<div class="example"><pre tabindex="0" aria-label="Example request">'
        f"<code>{_curl(method, path, operation)}</code></pre>"
        f'<button type="button" class="plain small copy" hidden>Copy</button></div>'
        f"{_try(method, path, operation)}{_answers(operation)}</section>"
    )


def _parameters(operation: Schema) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{_text(one["name"])}</code>'
        f"{' <small>required</small>' if one.get('required') else ''}</th><td>{_text(one['in'])}</td>"
        f"<td>{_kind(one['schema'])}</td><td>{_prose(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", ())
    )
    return _table(f"Parameters of {operation['operationId']}", ("Name", "In", "Type", "Meaning"), rows)


def _body(operation: Schema) -> str:
    kinds = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    found = [_link(one) for one in kinds.get("oneOf", ())]
    return f"<p>Body: JSON, one of {', '.join(found)}.</p>" if found else ""


def _example_body(operation: Schema) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    values = [one["value"] for one in content.get("examples", {}).values()]
    return json.dumps(values[0], ensure_ascii=False) if values else ""


def _curl(method: str, path: str, operation: Schema) -> str:
    query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")]
    address = _CORPUS_OR_JOB.sub("$ID", path) + (f"?{'&'.join(f'{name}=…' for name in query)}" if query else "")
    verb = "" if method in ("get", "post") else f"-X {method.upper()} "
    body = _example_body(operation)
    if body:
        verb = "-H 'Content-Type: application/json' -d '" + body + "' "
    elif method == "post":
        verb = "-X POST "
    return _text(f'curl -s {verb}"$U{address}"')


def _try(method: str, path: str, operation: Schema) -> str:
    """A form that the script sends; without it, it stays hidden."""
    name = _text(operation["operationId"])
    fields = "".join(
        f'<label>{_text(one["name"])} <input name="{_text(one["name"])}" data-in="{_text(one["in"])}"'
        f' autocapitalize="none" spellcheck="false" autocomplete="off"{_placeholder(one["schema"])}></label>'
        for one in operation.get("parameters", ())
        if one["in"] in ("path", "query")
    )
    body = _example_body(operation)
    if body:
        fields += f'<label>body <textarea name="body" rows="3" spellcheck="false">{_text(body)}</textarea></label>'
    return (
        f'<details class="try" hidden><summary>Try it</summary><form data-method="{method}" data-path="{_text(path)}" '
        f'aria-label="Try {name}">{fields}<button class="small">Send</button>'
        f'<p role="status" class="quiet"></p><pre tabindex="0" aria-label="Answer" hidden></pre></form></details>'
    )


def _placeholder(schema: Schema) -> str:
    return f' placeholder="{_text(schema["default"])}"' if schema.get("default") not in (None, "") else ""


def _answers(operation: Schema) -> str:
    shown = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        kinds = [_link(one["schema"]) for one in content.values() if "$ref" in one.get("schema", {})]
        examples = [one["example"] for one in content.values() if "example" in one]
        kind = f" {kinds[0]}" if kinds and int(status) < 300 else ""
        text = f"<dt><code>{_text(status)}</code></dt><dd>{_prose(answer['description'])}{kind}"
        for example in examples:
            said = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
            text += f'<pre tabindex="0" aria-label="Example answer"><code>{_text(said)}</code></pre>'
        shown.append(text + "</dd>")
    return f"<details><summary>Answers</summary><dl>{''.join(shown)}</dl></details>"


def _schema(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f'<tr><th scope="row"><code>{_text(field)}</code>{"" if field in required else " <small>optional</small>"}</th>'
        f"<td>{_kind(kind)}</td><td>{_prose(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    about = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    table = _table(f"Fields of {name}", ("Name", "Type", "Meaning"), rows)
    return f'<section id="schema-{_text(name)}"><h3>{_text(name)}</h3>{about}{table}</section>'


def _table(title: str, heads: tuple[str, ...], rows: str) -> str:
    if not rows:
        return ""
    caption = _text(title)
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}"><table><caption class="unseen">{caption}'
        f"</caption><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _kind(schema: Schema) -> str:
    """A type in a few words, with its limits and its default."""
    if "$ref" in schema:
        return _link(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        found = " | ".join(f"<code>{_text(value)}</code>" for value in schema["enum"])
    elif schema.get("type") == "array":
        found = f"list of {_kind(schema.get('items', {}))}"
    else:
        found = _text(schema.get("type", "any"))
    limits = (("from", "minimum"), ("to", "maximum"), ("at most", "maxLength"), ("at most", "maxItems"))
    said = [f"{word} {schema[name]:,}" for word, name in limits if name in schema]
    if schema.get("default") not in (None, ""):
        said.append(f"default {schema['default']}")
    return f"{found} <small>{_text(', '.join(said))}</small>" if said else found


def _link(schema: Schema) -> str:
    name = _text(str(schema.get("$ref", "")).rpartition("/")[2])
    return f'<a href="#schema-{name}">{name}</a>'


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", _text(text))


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
