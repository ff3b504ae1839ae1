"""The pytest surface, hooks in the order in which pytest calls them. It decides nothing about a claim."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.cachedir import run_folder
from harness.errors import EnvironmentFault, Source
from harness.families import Family
from harness.history.pruning import DEFAULT_DAYS, DEFAULT_RUNS
from harness.language.specs import Loaded, load
from harness.plugin import failedin, suites
from harness.plugin.actions import ActionsLog
from harness.plugin.gate import Gate
from harness.plugin.mustrun import (
    fails_vacuous,
    is_required,
    must_run,
    mutants_asked,
    refuse_to_collect_only,
    refuse_to_list,
)
from harness.plugin.reporting import (
    CAPTURE_OUTPUT,
    CONTROLLER,
    EXHIBITS_OUTPUT,
    VERDICTS_OUTPUT,
    Controller,
    decorate,
    teller,
)
from harness.plugin.stopping import interrupt_on_sigterm
from harness.reports.actions import in_actions
from harness.session import SpecSession, default_store, open_session
from harness.spec import Broken, Spec
from harness.store import Store, open_or_memory, open_or_overlay
from harness.uncollected import settle, unsettle

LOADED = pytest.StashKey[Loaded]()
SHARED = pytest.StashKey[Path]()
ELSEWHERE = pytest.StashKey[str]()  # a line where the folder is not in the temporary one
SESSION = pytest.StashKey[SpecSession]()
SCRATCH = "evidence.sqlite"  # evidence that the store does not take, or is not to have
SHARED_INPUT = "interp_shared"
FAMILY_TEST = "test_family"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interp-specs", "claims about what a model's features encode")
    group.addoption(
        "--require-run",
        action="store_true",
        help="a spec that cannot be judged fails, gpu specs too (also INTERP_REQUIRE_RUN=1, or -m gpu)",
    )
    group.addoption(
        "--fail-vacuous",
        action="store_true",
        help="fail a met claim that says little, such as one that 5 % of live features meet (ini: interp_fail_vacuous)",
    )
    group.addoption(
        "--mutate",
        action="store_true",
        help="judge mutants of every met claim's evidence; with --fail-vacuous a claim that kills none fails",
    )
    group.addoption(
        "--mutate-stored", action="store_true", help="as --mutate, but read no model: only what the store has"
    )
    group.addoption("--failed-in", metavar="RUN", help="only the claims that failed in a run: an id, or `latest`")
    group.addoption("--no-store", action="store_true", help="read and judge everything again, and keep nothing")
    parser.addini("interp_fail_vacuous", "true: as --fail-vacuous in every run", type="bool", default=False)
    parser.addini("interp_keep_runs", f"runs that reports/runs/ keeps; 0 keeps all ({DEFAULT_RUNS})", default="")
    parser.addini("interp_keep_days", f"days for which it keeps them; 0 keeps all ({DEFAULT_DAYS})", default="")


def pytest_configure(config: pytest.Config) -> None:
    unsettle()
    if config.pluginmanager.hasplugin("hypothesispytest"):
        # Its plugin imports it at the end of every run, and would miss its generators' owners among what is settled.
        import hypothesis  # noqa: F401
    is_required(config)  # a value that means nothing is refused before anything is read
    refuse_to_list(config)
    given = getattr(config, "workerinput", {}).get(SHARED_INPUT)
    log = ActionsLog(config) if in_actions() and not given else None
    if log is not None:
        config.pluginmanager.register(log, "interp-specs-actions")
    loaded = load(config.rootpath)
    config.stash[LOADED] = loaded
    for tag in sorted({tag for item in loaded.items for tag in item.tags}):
        config.addinivalue_line("markers", f"{tag}: a tag of specs")
    failedin.choose(config)
    suites.choose(config)
    config.stash[SHARED], config.stash[ELSEWHERE] = (Path(given), "") if given else run_folder("interp-run-")
    if not given:
        config.pluginmanager.register(Controller(config, log), CONTROLLER)
        config.add_cleanup(interrupt_on_sigterm())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[SHARED_INPUT] = str(node.config.stash[SHARED])
    if failedin.FAILED in node.config.stash:
        node.workerinput[failedin.FAILED_INPUT] = list(node.config.stash[failedin.FAILED])


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str) -> list[pytest.Item] | None:
    """Where no family is declared there is no test of one; pytest would show an empty one as skipped."""
    none = name == FAMILY_TEST and not collector.config.stash[LOADED].families
    return [] if none else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "family" in metafunc.fixturenames:
        families = metafunc.config.stash[LOADED].families
        metafunc.parametrize("family", [pytest.param(one, id=one.name, marks=_marks(one)) for one in families])
    if "spec" not in metafunc.fixturenames:
        return
    items = metafunc.config.stash[LOADED].items
    if not items:  # pytest would skip one empty test, and end green
        raise pytest.Collector.CollectError("No claim under specs/: nothing to judge. See docs/writing-specs.md.")
    metafunc.parametrize("spec", [pytest.param(item, id=item.id, marks=_marks(item)) for item in items])


def _marks(item: Spec | Broken | Family) -> list[pytest.MarkDecorator]:
    tags = [getattr(pytest.mark, tag) for tag in item.tags]
    on_gpu = any(subject.device == "cuda" for spec in _read_for(item) for subject in spec.subjects)
    return [*tags, pytest.mark.gpu] if on_gpu else tags


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """A file that cannot be read stays a red test whatever -m and -k select: a typo must not hide a claim."""
    failedin.deselect(config, items, _id_of)
    suites.deselect(config, items, _claim_of)
    before = list(items)
    yield
    kept = set(items)
    items[:] = [item for item in before if item in kept or isinstance(_spec_of(item), Broken)] or items


def pytest_collection_finish(session: pytest.Session) -> None:
    found = list({spec.id: spec for item in session.items for spec in _read_for(_spec_of(item))}.values())
    config = session.config
    refuse_to_collect_only(config, session.items)
    if not found or config.option.collectonly:
        return
    demanded = {spec.id for item in session.items for spec in _read_for(_spec_of(item)) if must_run(item)}
    if config.stash[ELSEWHERE]:
        _tell_of_the_store(config, f"interp-specs: {config.stash[ELSEWHERE]}")
    with warnings.catch_warnings(record=True, action="always") as said:
        store, fault = _store_of(config)
    for one in said:
        _tell_of_the_store(config, f"interp-specs: {one.message}")
    if fault is not None:
        _tell_of_the_store(config, f"interp-specs: {fault} This run keeps its evidence to itself.")
    store.tells(lambda line: _tell_of_the_store(config, f"interp-specs: {line}"))
    config.stash[SESSION] = open_session(
        found,
        store,
        config.stash[SHARED],
        lambda spec: spec.id in demanded,
        teller(config),
        fails_vacuous(config),
        mutants_asked(config),
        scratch=config.stash[SHARED] / SCRATCH,
    )
    settle()


def _tell_of_the_store(config: pytest.Config, line: str) -> None:
    """At once; a worker, to whose lines nobody listens, by a warning, which reaches the summary."""
    if hasattr(config, "workerinput"):
        warnings.warn(line, RuntimeWarning, stacklevel=2)
    teller(config)(line)


def _store_of(config: pytest.Config) -> tuple[Store, EnvironmentFault | None]:
    """Where this run's evidence lies: the same for all of its processes."""
    beside = config.stash[SHARED] / SCRATCH
    try:
        return open_or_overlay(beside if config.option.no_store else default_store(), beside)
    except EnvironmentFault as fault:  # a user without a home folder
        return open_or_memory(beside), fault


def session_to_read_with(config: pytest.Config) -> SpecSession:
    """This process's session; in the controller of a distributed run, one that reads no model."""
    mine = config.stash.get(SESSION, None)
    return mine or open_session([], _store_of(config)[0], config.stash[SHARED], lambda spec: False, print)


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Gate:
    """Loads each model and SAE once, before the first spec is judged, and settles every spec."""
    session = request.config.stash.get(SESSION, None) or _only_broken(request.config)
    session.prepare()
    return Gate(session)


def _only_broken(config: pytest.Config) -> SpecSession:
    shared = config.stash[SHARED]
    return open_session([], open_or_memory(shared / SCRATCH), shared, lambda spec: False, print)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return decorate(item, report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    spec_session = config.stash.get(SESSION, None)
    if hasattr(config, "workeroutput") and spec_session is not None:
        config.workeroutput[CAPTURE_OUTPUT] = spec_session.runner.capture
        config.workeroutput[EXHIBITS_OUTPUT] = spec_session.exhibits.to_plain()
        config.workeroutput[VERDICTS_OUTPUT] = spec_session.kept.made


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and SHARED in config.stash:
        shutil.rmtree(config.stash[SHARED], ignore_errors=True)


def _spec_of(item: pytest.Item) -> Spec | Broken | Family | None:
    callspec = getattr(item, "callspec", None)
    told = (callspec.params.get("spec") or callspec.params.get("family")) if callspec else None
    return told if isinstance(told, Spec | Broken | Family) else None


def _id_of(item: pytest.Item) -> str | None:
    """What --failed-in knows an item by; None for what cannot be read, which stays."""
    told = _spec_of(item)
    return None if isinstance(told, Broken) else "" if told is None else told.id


def _claim_of(item: pytest.Item) -> tuple[Source, str] | None:
    told = _spec_of(item)
    return None if told is None else (told.source, told.id)


def _read_for(item: Spec | Broken | Family | None) -> tuple[Spec, ...]:
    """The specs whose evidence a test needs: a family needs all its members, whatever was selected."""
    if isinstance(item, Family):
        return () if item.broken else item.members
    return (item,) if isinstance(item, Spec) else ()
