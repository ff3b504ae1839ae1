"""docs/kinds.md from the registry: what each kind claims, its fields, and its examples as they are judged.

`python -m harness.cli.kinds_page > docs/kinds.md` writes it; a test holds the file against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from harness.expectations import kinds
from harness.expectations.base import Expectation, KindExample, Role
from harness.expectations.bounds import Bound
from harness.expectations.toy import claim_of, evidence_of, expectation_of

_HEAD = """# Kinds of claims

Written by `python -m harness.cli.kinds_page` from the kinds themselves; edit those, not this page.

A kind stands under its name in a spec. What stands beside it (feature, pool, tokens, scope, alpha, ...) is in
[writing-specs.md](writing-specs.md); the formulas and the words met, unmet and inconclusive are in
[statistics.md](statistics.md). Bounds are `{at_least: x}`, `{at_most: x}` or `{between: [x, y]}`.

The examples are judged on toy codes: the findings below are what the harness says of them."""
_OWN_WORDS = re.compile(r"( own\d+x*)+")  # what the texts of toy prompts end with, which nobody reads


def kinds_page(registry: Mapping[str, type[Expectation]]) -> str:
    """The page as Markdown, ending with a newline."""
    parts = [_HEAD, _contents(registry), *(_section(kind) for kind in registry.values())]
    return "\n\n".join(parts) + "\n"


def _contents(registry: Mapping[str, type[Expectation]]) -> str:
    return "\n".join(
        ["| kind | claim |", "|---|---|", *(f"| [{n}](#{n}) | {_cell(k.summary())} |" for n, k in registry.items())]
    )


def _section(kind: type[Expectation]) -> str:
    abouts = {
        True: "A feature",
        False: "The whole SAE: it takes no `feature`",
        None: "A feature, or the whole SAE, by what it measures",
    }
    about = abouts[kind.reads_feature]
    facts = f"About: {about}. Mutants that can change its evidence: {', '.join(sorted(kind.mutants))}."
    parts = [f"## {kind.kind}", _docstring(kind), facts, _fields(kind), *_examples(kind)]
    return "\n\n".join(parts)


def _docstring(kind: type[Expectation]) -> str:
    import inspect

    return inspect.getdoc(kind) or ""


def _fields(kind: type[Expectation]) -> str:
    rows = [
        f"| `{info.alias or name}` | {_default(info)} | {_cell(info.description or '')} |"
        for name, info in kind.model_fields.items()
    ]
    return "\n".join(["| field | default | meaning |", "|---|---|---|", *rows])


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if isinstance(value, Bound):
        return f"`{_flow(value.model_dump(exclude_none=True))}`"
    return "none" if value is None else f"`{_flow(value)}`"


def _examples(kind: type[Expectation]) -> Iterator[str]:
    for example in kind.examples:
        verdict = expectation_of(kind, example).judge(evidence_of(example), claim_of(example))
        finding = _OWN_WORDS.sub("", verdict.finding)
        yield (
            f"**{example.title}**: {verdict.word.replace('_', ' ')}\n\n"
            f"```yaml\n{_yaml(kind, example)}\n```\n\n{_rows(example) or _promoted(example)}\n\n> {finding}"
        )


def _yaml(kind: type[Expectation], example: KindExample) -> str:
    named = dict.fromkeys(name.partition("@")[0] for name in example.rows)
    roles = {name: name for name in named if _is_role(kind, name)}
    beside = {k: v for k, v in example.settings.items() if k not in ("sae_is_topk", "accepted")}
    about_feature = expectation_of(kind, example).about_feature()
    lines = ["feature: 0"] * about_feature + [f"{key}: {_flow(value)}" for key, value in beside.items()]
    accepted = example.settings.get("accepted")
    lines += [f"# accepted on {accepted.date}: {accepted.value:g}"] if accepted is not None else []
    return "\n".join([f"{kind.kind}: {_flow({**roles, **example.fields})}", *lines])


def _is_role(kind: type[Expectation], name: str) -> bool:
    return name in kind.model_fields and any(isinstance(m, Role) for m in kind.model_fields[name].metadata)


def _rows(example: KindExample) -> str:
    """One line per set: how many prompts, and what the first looks like with the activations that are not 0."""
    names = {role: role.replace("@", "` read by `") for role in example.rows}
    return "\n".join(
        f"- `{names[role]}`: {len(rows)} prompts, {sum(any(v for _, v in row) for row in rows)} of which fire, such as "
        f"`{_shown(next((row for row in rows if any(v for _, v in row)), rows[0]))}`"
        for role, rows in example.rows.items()
    )


def _promoted(example: KindExample) -> str:
    return f"- raised most: {', '.join(repr(token) for token in example.promoted)}"


def _shown(row: Any, most: int = 8) -> str:
    words = [f"{token}={value:g}" if value else token for token, value in row[:most]]
    return " ".join(words) + (" ..." if len(row) > most else "")


def _flow(value: Any) -> str:
    """YAML's flow style for the values that examples hold."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, str):
        return value if value.replace("_", "a").isalnum() else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(kinds_page(kinds()), end="")
