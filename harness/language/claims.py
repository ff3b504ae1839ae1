"""One entry of `expect:` -> Specs: one for each subject and each feature that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NoReturn

from harness.errors import Source, SpecError, guarded, in_short, nearest_names
from harness.expectations import kinds
from harness.expectations.base import Claim, Expectation, Unfit
from harness.expectations.scales import vacuous_bounds, vacuous_ranks
from harness.inputs import Corpus, PromptSet, Subject
from harness.language.building import Claimed, Parts, Suite, Told
from harness.language.checking import unknown_keys, validated
from harness.language.edges import about_compared, breaks_inside
from harness.language.families import families_in, family_mistakes
from harness.language.loader import MAX_MISTAKES
from harness.language.mistakes import Mistakes, gathered, in_order
from harness.language.models import SPEC_ID, BestFeature, FeatureSource, SpecKeys
from harness.language.nodes import Node, described, is_list, is_mapping, is_text, shortened
from harness.language.prompts import Content
from harness.language.sets import Library
from harness.language.subjects import AllowList, pick_corpus, pick_subject, sentences_in
from harness.language.tags import checked_tags
from harness.spec import Attribution, Best, Broken, Spec

_ID = re.compile(SPEC_ID)
_OWN = frozenset(SpecKeys.model_fields)
_CODES = {
    "prompts": "unfit_prompts",
    "construction": "true_by_construction",
    "keywords": "keywords_match_nothing",
}


@dataclass(frozen=True, slots=True)
class World:
    """What the suites of one load share."""

    library: Library
    allowed: AllowList


def read_claim(node: Node, suite: Suite, world: World) -> list[Spec] | Broken:
    """The specs of one entry, or one Broken with every mistake in it."""
    reader = _ClaimReader(node, suite, world)
    try:
        return guarded(reader.specs, partial(_kind_failed, node))
    except Mistakes as mistakes:
        name = broken_id(suite.name, node)
        return Broken(name, suite.name, node.source, mistakes.errors, suite.tags, families_in([node]))


def _kind_failed(node: Node, error: BaseException) -> NoReturn:
    """What a kind raises when it is made or asked whether it fits its sets: the mistake of this claim."""
    if isinstance(error, Mistakes | SpecError):
        raise error
    raise Mistakes(
        [node.error("kind_failed", f"reading this claim raised {in_short(error)}; its kind has to be repaired")]
    )


def broken_id(suite: str, node: Node) -> str:
    """`<suite>::<id>`, or the line where an entry has no usable id."""
    own = node.get("id")
    named = is_text(own) and _ID.fullmatch(own.value)
    return f"{suite}::{own.value if named and own else f'line-{node.source.line}'}"


class _ClaimReader:
    def __init__(self, node: Node, suite: Suite, world: World) -> None:
        self.node = node
        self.suite = suite
        self.world = world
        self.errors: list[SpecError] = []

    def specs(self) -> list[Spec]:
        if not is_mapping(self.node):
            raise Mistakes(
                [self.node.error("wrong_type", f"an entry of `expect` is a mapping; it is {described(self.node)}")]
            )
        kind, keys = self.kind(), self.keys()
        claimed = self.claimed(kind, keys) if kind is not None else None
        told = self.told(kind, keys, claimed) if keys is not None else None
        if claimed is not None and told is not None:
            self.check_ranks(claimed.expectation, told.subjects)
        if self.errors or claimed is None or told is None:
            raise Mistakes(in_order(self.errors))
        parts = Parts(claimed, told)
        return list(parts.specs(self.node, self.suite))

    def kind(self) -> type[Expectation] | None:
        """The one kind that the entry names."""
        known = kinds()
        named = [key for key in self.node.value if key in known]
        strange = unknown_keys(self.node, [*_OWN, *known], "a spec")
        if len(named) == 1:
            self.errors += strange
            return known[named[0]]
        if named:
            message = f"a spec makes one claim; this one has {' and '.join(named)}: split it"
            self.errors += [*strange, self.node.key_error(named[1], "several_kinds", message)]
        else:
            self.errors += [self.unknown_kind(key, list(known)) for key in self.strange_mappings(strange)]
            self.errors += [e for e in strange if e.source not in {known.source for known in self.errors}]
            if not strange:
                message = "this spec claims nothing; add a kind, such as fires_more (`interp kinds` lists them)"
                self.errors.append(self.node.error("no_kind", message))
        return None

    def strange_mappings(self, strange: Sequence[SpecError]) -> list[str]:
        """The unknown keys with a mapping under them: in an entry without a kind, most likely the kind, misspelt."""
        places = {e.source for e in strange}
        return [k for k, child in self.node.value.items() if is_mapping(child) and self.node.key_source(k) in places]

    def unknown_kind(self, key: str, known: list[str]) -> SpecError:
        near = nearest_names(key, known)
        hint = f"Did you mean {near[0]!r}?" if near else "`interp kinds` lists the kinds."
        return self.node.key_error(key, "unknown_kind", f"{key!r} is no kind of claim. {hint}", near)

    def keys(self) -> SpecKeys | None:
        with gathered(self.errors):
            elsewhere = set() if self.source_node() is None else {"discovered_on"}
            return validated(SpecKeys, self.node, "a spec", without=(set(self.node.value) - _OWN) | elsewhere)
        return None

    def source_node(self) -> Node | None:
        """`discovered_on: {label, from}`, a publication; None where that names prompts or is left out."""
        node = self.node.get("discovered_on")
        return node if node is not None and is_mapping(node) and {"label", "from"} & set(node.value) else None

    def attributed_to(self) -> Attribution | None:
        node = self.source_node()
        if node is None:
            return None
        with gathered(self.errors):
            source = validated(FeatureSource, node, "discovered_on")
            return Attribution(source.label, source.from_)
        return None

    def claimed(self, kind: type[Expectation], keys: SpecKeys | None) -> Claimed | None:
        """What stands inside the kind, resolved."""
        below: Node = self.node.value[kind.kind]
        sets, corpora = self.sets(kind, below), self.corpora(kind, below)
        beside = kind.roles_beside()
        self.check_overlap({role: prompts for role, prompts in sets.items() if role not in beside}, below)
        failed = [
            role for role in (*kind.roles("prompts"), *kind.roles("corpus")) if self.has_mistakes(below.get(role))
        ]
        self.errors += breaks_inside(below)
        expectation = self.expectation(kind, below, failed)
        if expectation is None:
            return None
        if keys is not None:
            self.check_fit(expectation, sets, below, keys)
        self.check_bounds(vacuous_bounds(expectation), below)
        return Claimed(expectation, sets, corpora, self.others(expectation, below))

    def check_fit(self, expectation: Expectation, sets: Mapping[str, PromptSet], below: Node, keys: SpecKeys) -> None:
        """What the claim does with its prompts must be possible; nothing is said where one of the sets is wrong."""
        if sets.keys() != expectation.references("prompts").keys():
            return
        try:
            claim = Claim(None, keys.pool, keys.tokens, keys.special_tokens, keys.scope, keys.alpha)
            expectation.check_fit(sets, claim)
        except Unfit as unfit:
            self.errors.append(below.at(unfit.at)[0].error(_CODES[unfit.what], str(unfit)))

    def check_bounds(self, vacuous: Iterable[tuple[str, str]], below: Node) -> None:
        """A bound that excludes nothing is met by every feature, and by none of them in particular."""
        for name, message in vacuous:
            node = below.get(name)
            self.errors.append((below if node is None else node).error("vacuous_bound", message))

    def check_ranks(self, expectation: Expectation, subjects: Sequence[Subject]) -> None:
        """A rank that is wide enough for all features of one of the SAEs."""
        widths = [s.sae.d_sae for s in subjects if s.sae.d_sae is not None]
        if widths:
            self.check_bounds(vacuous_ranks(expectation, min(widths)), self.node.value[expectation.kind])

    def told(self, kind: type[Expectation] | None, keys: SpecKeys, claimed: Claimed | None) -> Told:
        """What stands beside the kind, resolved."""
        if kind is not None and kind.reads_feature is not None:
            self.check_features(kind.kind, kind.reads_feature, keys)
        elif claimed is not None:
            self.check_features(claimed.expectation.kind, claimed.expectation.about_feature(), keys)
        if kind is not None and kind.reads_decoder and isinstance(keys.feature, BestFeature):
            message = (
                f"{kind.kind} reads no prompts that could show the best feature: name one (`interp diff` ranks them)"
            )
            self.errors.append(self.key_error("feature", "best_not_read", message))
        if kind is not None and kind.takes_baseline and keys.together is not None:
            message = f"{kind.kind} is about one number: leave `together` out, and each feature is a test of its own"
            self.errors.append(self.key_error("together", "together_alone", message))
        if kind is not None:
            self.errors += family_mistakes(kind, keys, self.node)
        features, subjects = self.numbers(keys), self.subjects(keys)
        self.check_range(features, subjects)
        found_on = self.one_set(self.node, "discovered_on") if self.source_node() is None else None
        return Told(keys, features, self.best(keys), subjects, self.tags(keys), found_on, self.attributed_to())

    def expectation(self, kind: type[Expectation], below: Node, failed: Sequence[str]) -> Expectation | None:
        """What a set's own reader has said already is not said again."""
        errors: list[SpecError] = []
        found = None
        with gathered(errors):
            found = validated(kind, below, kind.kind)
        inside = [below.value[role] for role in failed]
        self.errors += [e for e in errors if not any(_encloses(node, e.source) for node in inside)]
        return found

    def has_mistakes(self, node: Node | None) -> bool:
        return node is not None and any(_encloses(node, e.source) for e in self.errors)

    def sets(self, kind: type[Expectation], below: Node) -> dict[str, PromptSet]:
        found = {role: self.one_set(below, role) for role in kind.roles("prompts")}
        return {role: prompts for role, prompts in found.items() if prompts is not None}

    def one_set(self, holder: Node, role: str) -> PromptSet | None:
        node = holder.get(role)
        if node is None or node.value is None:
            return None
        with gathered(self.errors):
            return self.world.library.role(node, self.suite.shelf)
        return None

    def corpora(self, kind: type[Expectation], below: Node) -> dict[str, Corpus]:
        found = {}
        for role in kind.roles("corpus"):
            node = below.get(role)
            if is_text(node):
                with gathered(self.errors):
                    found[role] = corpus = pick_corpus(self.world.allowed, node.value, node.source)
                    if kind.reads_sentences:
                        sentences_in(corpus, node.source)
        return found

    def check_features(self, kind: str, about_feature: bool, keys: SpecKeys) -> None:
        """A claim about a feature names one, or several; a claim about the SAE names none."""
        given = [key for key in ("feature", "features", "together") if getattr(keys, key) is not None]
        if not about_feature:
            self.errors += [
                self.key_error(
                    key, "feature_not_read", f"{kind} is about the whole SAE and reads no feature: remove `{key}`"
                )
                for key in given
            ]
        elif "feature" in given and "features" in given:
            self.errors.append(self.key_error("features", "two_features", "write `feature` or `features`, not both"))
        elif not {"feature", "features"} & set(given):
            self.errors.append(self.node.error("no_feature", f"{kind} is about a feature; add `feature: <number>`"))
        elif "together" in given and len(keys.features or ()) < 2:
            self.errors.append(self.key_error("together", "together_alone", "`together` joins two or more `features`"))

    def numbers(self, keys: SpecKeys) -> tuple[int, ...]:
        if keys.features is not None:
            self.check_once(keys.features, "features")
            return keys.features
        return (keys.feature,) if isinstance(keys.feature, int) else ()

    def check_once(self, values: Sequence[object], key: str) -> None:
        seen: set[object] = set()
        for i, value in enumerate(values):
            if value in seen:
                item = self.node.value[key].value[i]
                self.errors.append(item.error("duplicate_value", f"{value!r} stands twice in `{key}`; keep one"))
            seen.add(value)

    def best(self, keys: SpecKeys) -> Best | None:
        if not isinstance(keys.feature, BestFeature):
            return None
        below: Node = self.node.value["feature"].value["best"]
        prompts, than = self.one_set(below, "prompts"), self.one_set(below, "than")
        if prompts is None or than is None:
            return None
        self.check_overlap({"prompts": prompts, "than": than}, below)
        return Best(prompts, than, keys.feature.best.by)

    def subjects(self, keys: SpecKeys) -> tuple[Subject, ...]:
        if keys.subjects is None:
            if self.suite.keys.subjects is None:
                message = "no subject: add `subjects: [...]` to the file or to this spec"
                self.errors.append(self.node.error("no_subject", message))
            return self.suite.subjects
        self.check_once(keys.subjects, "subjects")
        found = []
        for item in self.node.value["subjects"].value:
            with gathered(self.errors):
                found.append(pick_subject(self.world.allowed, item.value, item.source))
        return tuple(found)

    def check_range(self, features: Sequence[int], subjects: Sequence[Subject]) -> None:
        wrong = (
            self.out_of_range(i, feature, subject.name, subject.sae.d_sae)
            for i, feature in enumerate(features)
            for subject in subjects
            if subject.sae.d_sae is not None and feature >= subject.sae.d_sae
        )
        self.errors += islice(wrong, MAX_MISTAKES)

    def out_of_range(self, i: int, feature: int, subject: str, d_sae: int) -> SpecError:
        listed = self.node.get("features")
        node: Node = listed.value[i] if is_list(listed) else self.node.value["feature"]
        message = f"feature {feature} does not exist: the SAE of {subject} has {d_sae:,} features, 0 to {d_sae - 1}"
        return node.error("feature_out_of_range", message)

    def check_overlap(self, sets: Mapping[str, PromptSet], below: Node) -> None:
        """A prompt on both sides of a comparison only weakens it: a slip. Near copies there are matched pairs."""
        self.world.library.note(about_compared(sets, below))
        if self.are_apart(sets.values()):
            return
        seen: dict[Content, str] = {}
        for role, prompts in sets.items():
            shared = [p for p in prompts.prompts if p.content in seen]
            if shared:
                message = (
                    f"{len(shared)} prompts of `{role}` are in `{seen[shared[0].content]}` too, for example "
                    f"{shortened(shared[0].shown)!r}; a prompt cannot stand on both sides"
                )
                self.errors.append(below.value[role].error("overlapping_sets", message))
            for p in prompts.prompts:
                seen.setdefault(p.content, role)

    def are_apart(self, sets: Iterable[PromptSet]) -> bool:
        known: set[Content] = set()
        for contents in map(self.world.library.contents, sets):
            if not known.isdisjoint(contents):
                return False
            known |= contents
        return True

    def others(self, expectation: Expectation, below: Node) -> dict[str, Subject]:
        found = {}
        for name in expectation.other_subjects():
            roles = [below.get(role) for role in expectation.roles("subject")]
            node = next((n for n in roles if n is not None and n.value == name), _holding(below, name) or below)
            with gathered(self.errors):
                found[name] = pick_subject(self.world.allowed, name, node.source)
        return found

    def tags(self, keys: SpecKeys) -> tuple[str, ...]:
        with gathered(self.errors):
            own = checked_tags(keys.tags, self.node.get("tags"))
            return tuple(dict.fromkeys((*self.suite.tags, *own)))
        return ()

    def key_error(self, key: str, code: str, message: str) -> SpecError:
        return self.node.key_error(key, code, message)


def _encloses(node: Node, source: Source) -> bool:
    first = (node.start.line + 1, node.start.column + 1)
    last = (node.end.line + 1, node.end.column + 1)
    return source.path == node.file.path and first <= (source.line, source.column) <= last


def _holding(node: Node, text: str) -> Node | None:
    """The first scalar below that says `text`."""
    if node.value == text:
        return node
    return next((found for child in node.children() if (found := _holding(child, text)) is not None), None)
