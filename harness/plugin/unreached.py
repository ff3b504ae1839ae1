"""What a run was to judge and did not: when it is cut short, its report has these claims, too, as not run."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from harness.families import Family
from harness.language.specs import Loaded
from harness.reports.joined import family_record
from harness.reports.record import Record
from harness.spec import Broken, Spec
from harness.verdict import Outcome, Verdict

SPEC_TEST, FAMILY_TEST = "::test_spec[", "::test_family["
INTERRUPTED = "interrupted before it was judged"
LOST = "its process ended before it was judged"


def unreached(nodes: Iterable[str], loaded: Loaded, judged: Container[str], finding: str) -> Iterator[Record]:
    """A record for each claim and family among these tests that has none. nodes: node ids, as pytest escapes them."""
    known = {
        **{SPEC_TEST + _escaped(item.id) + "]": item for item in loaded.items},
        **{FAMILY_TEST + _escaped(family.name) + "]": family for family in loaded.families},
    }
    for node in nodes:
        item = known.get(_test_of(node))
        if item is not None and item.id not in judged:
            yield _record(item, Verdict(Outcome.NOT_RUN, finding))


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii")


def _test_of(node: str) -> str:
    """`::test_spec[<id>]` of a node id."""
    file, _, _ = node.partition("[")
    return node[file.rfind("::") :] if "::" in file else ""


def _record(item: Spec | Broken | Family, verdict: Verdict) -> Record:
    if isinstance(item, Broken):
        return Record.broken(item)
    if isinstance(item, Family):
        return family_record(item, verdict, prompts=0, from_store=0, seconds=0.0)
    return Record.of(item, verdict, fingerprint="", prompts=0, from_store=0, seconds=0.0)
