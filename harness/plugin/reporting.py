"""What leaves a test process: the record on its report, and, in the controlling process, the run's files and table."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from harness.contradictions import Contradiction, contradictions
from harness.contradictions import lines as contradiction_lines
from harness.controls import Control
from harness.errors import guarded
from harness.history.ending import write_and_keep
from harness.history.pruning import Limits
from harness.inputs import Picture
from harness.kept import KeptRow
from harness.keys import code_key
from harness.language.specs import Loaded
from harness.mutants import derived_specs
from harness.plugin import failedin
from harness.plugin.actions import ActionsLog
from harness.plugin.gate import RECORD
from harness.plugin.mustrun import is_required, mutants_asked
from harness.plugin.unreached import FAMILY_TEST, INTERRUPTED, LOST, SPEC_TEST, unreached
from harness.progress import Teller
from harness.redaction import redacted
from harness.reports.basis import Basis
from harness.reports.exhibits import Exhibits
from harness.reports.joined import joined
from harness.reports.junit import properties, put_q, xml_path
from harness.reports.limit import INVALID, LIMIT_OF_A_GREEN_SUITE
from harness.reports.mutation import mutation_lines
from harness.reports.record import Record, Run
from harness.reports.terminal import table_lines
from harness.reports.uncontrolled import uncontrolled
from harness.reports.unjudged import NOTHING_JUDGED, kept_lines, unjudged_lines
from harness.reports.write import reports_dir
from harness.runlog import RUN_LOG, RunLog
from harness.running import with_counts
from harness.running.doors import open_picture
from harness.spec import Spec
from harness.uncollected import settle
from harness.verdict import Outcome

CAPTURE_OUTPUT = "interp_capture"
CONTROLLER = "interp-specs-report"
EXHIBITS_OUTPUT = "interp_exhibits"
VERDICTS_OUTPUT = "interp_verdicts"
_CUT_SHORT = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
_TESTS = (SPEC_TEST, FAMILY_TEST)
LOG_WIDTH = 140  # a log has no edge that names would have to be cut at


def teller(config: pytest.Config) -> Callable[[str], None]:
    """Tells the person who waits, past pytest's capturing; a worker tells nobody."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None or hasattr(config, "workerinput"):
        return lambda line: None

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    def rewrite(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.rewrite(line, erase=True)
            reporter.rewrite(line)

    return Teller(write, rewrite if reporter.isatty else None)


def decorate(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Hang the record on the report as plain types (workers send them to the controller), and put the finding first."""
    record = item.stash.get(RECORD, None)
    if record is None or report.when != "call":
        return report
    report.interp_record = record.to_dict()  # type: ignore[attr-defined]
    controller = item.config.pluginmanager.get_plugin(CONTROLLER)
    if controller is not None:
        controller.judged_here[record.id] = record
    item.user_properties += properties(record)  # JUnit's file takes them from the report of the teardown
    report.user_properties = list(item.user_properties)
    crash = getattr(report.longrepr, "reprcrash", None)
    if report.failed and crash is not None:
        crash.message = report.longreprtext.splitlines()[0]
    return report


def _limits(config: pytest.Config) -> Limits:
    try:
        return Limits.of({name: config.getini(name) for name in ("interp_keep_runs", "interp_keep_days")})
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


class Controller:
    """Collects the records of all processes; writes reports/ and the terminal's table. One per run."""

    def __init__(self, config: pytest.Config, log: ActionsLog | None = None) -> None:
        self.config = config
        self.log = log
        self.started = datetime.datetime.now(datetime.UTC)
        self.records: dict[str, Record] = {}
        self.judged_here: dict[str, Record] = {}  # in this process: as they are, until their report comes by
        self.selected: list[str] = []
        self.lost: list[str] = []
        self.met_claims = False
        self.capture: dict[str, dict[str, Any]] = {}
        self.exhibits = Exhibits()
        self.judged_apart: list[KeptRow] = []
        self.written: str = ""
        self.unwritten: list[str] = []
        self.contradicting: list[Contradiction] = []
        self.controls: list[Control] = []
        self.invalid: tuple[str, ...] = ()
        self.said: list[str] = []
        self.limits = _limits(config)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.selected = [] if self.config.option.collectonly else [item.nodeid for item in session.items]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.selected = list(ids)  # every worker collects the same

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "interp_record", None)
        self.met_claims |= any(test in report.nodeid for test in _TESTS)
        if data is not None:
            name = data["id"]
            self.records[name] = self.judged_here.pop(name) if name in self.judged_here else Record.from_dict(data)
        elif report.failed and any(test in report.nodeid for test in _TESTS):
            self.lost.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        for name, counts in getattr(node, "workeroutput", {}).get(CAPTURE_OUTPUT, {}).items():
            self.capture[name] = with_counts(self.capture.get(name, {}), counts)
        self.exhibits.merge(getattr(node, "workeroutput", {}).get(EXHIBITS_OUTPUT, {}))
        self.judged_apart += getattr(node, "workeroutput", {}).get(VERDICTS_OUTPUT, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from harness.plugin import SESSION

        mine = session.config.stash.get(SESSION, None)
        self.capture.update(mine.runner.capture if mine else {})
        self.exhibits.merge(mine.exhibits.to_plain() if mine else {})
        self._add_unreached(session)
        if not self.records:
            self._refuse_nothing(session)
            return
        self._join()
        if session.exitstatus not in _CUT_SHORT:
            self._control()
        run = self._run(session)
        self.invalid = run.invalid
        reports = reports_dir(session.config.rootpath)
        fault, self.said = write_and_keep(run, reports, self.limits, self.exhibits, self._open_picture)
        judged = [r for r in self.records.values() if r.verdict.outcome is not Outcome.NOT_RUN]
        self.written = str(fault) if fault else ""
        self._hand_on(run)
        unsure = run.invalid or any(not control.holds for control in self.controls)
        if session.exitstatus == pytest.ExitCode.OK and (fault or not judged or unsure):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        settle()

    def _hand_on(self, run: Run) -> None:
        """JUnit's file, which pytest has written by now, and GitHub's log. A fault is said and changes no verdict."""
        asked = self.config.option.xmlpath if self.config.pluginmanager.hasplugin("junitxml") else None
        fault = put_q(xml_path(asked), run.records) if asked else None
        lost = [f"{name}: {LOST}" for name in self.lost]
        others = [*run.invalid, *filter(None, [self.written]), *lost]
        said = self.log.finish(run, others) if self.log else ""
        self.unwritten = [line for line in (str(fault or ""), said) if line]

    def _add_unreached(self, session: pytest.Session) -> None:
        """Without these the report of a run that was cut short would look like that of a smaller one; and one that was
        cut short while it read would leave none, so that `latest` stayed an earlier run."""
        cut_short = self.selected if session.exitstatus in _CUT_SHORT else []
        for nodes, finding in ((self.lost, LOST), (cut_short, INTERRUPTED)):
            if not nodes:  # of nearly every run: names of all claims need not be looked up for it
                continue
            self.records |= {record.id: record for record in unreached(nodes, self._loaded(), self.records, finding)}

    def _refuse_nothing(self, session: pytest.Session) -> None:
        """Claims that somebody's hook skipped, or that --setup-plan only prepared, end green with pytest."""
        if session.exitstatus == pytest.ExitCode.OK and self.met_claims:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _control(self) -> None:
        """The controls, made here, once, of what all processes judged: the same under any -n. Where they hold, what
        was judged is kept."""
        from harness.plugin import LOADED, session_to_read_with

        decided = {r.id for r in self.records.values() if r.verdict.outcome in (Outcome.MET, Outcome.UNMET)}
        judged = [s for s in self.config.stash[LOADED].items if isinstance(s, Spec) and s.id in decided]
        session = session_to_read_with(self.config)
        self.controls = session.controls(judged, self._earlier())
        session.keep(self.controls, self.judged_apart)
        self.records = uncontrolled(self.records, self.controls)

    def _earlier(self) -> set[str]:
        """The claims for which this run judged nothing at all; mutants are judged."""
        mutating = mutants_asked(self.config) != "no"
        return set() if mutating else {record.id for record in self.records.values() if record.kept}

    def _open_picture(self, picture: Picture) -> Any:
        """What a record names lies in this repository, whatever the current folder."""
        return open_picture(replace(picture, root=self.config.rootpath))

    def _join(self) -> None:
        """Every record with what the others say about it."""
        from harness.plugin import LOADED

        judged = (item for item in self.config.stash[LOADED].items if item.id in self.records)
        self.contradicting = contradictions(item for item in judged if isinstance(item, Spec))
        warned: dict[str, tuple[str, ...]] = {}
        for one in self.contradicting:
            for spec in (one.one, one.other):
                warned.setdefault(spec.id, (str(one),))
        whole = joined(self.records.values(), warned)
        self.records = {record.id: record for record in whole}

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        self._tell_selected(terminalreporter)
        if not self.records:
            if self.met_claims or (exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._loaded().items):
                terminalreporter.write_line(NOTHING_JUDGED, red=True)
            return
        terminalreporter.section("claims")
        width = terminalreporter._tw.fullwidth if terminalreporter.isatty else LOG_WIDTH
        for line in table_lines(self.records.values(), width, color=terminalreporter.hasmarkup):
            terminalreporter.write_line(line)
        for line in mutation_lines(list(self.records.values())):
            terminalreporter.write_line(f"mutants: {line}")
        if not any(r.verdict.outcome is not Outcome.NOT_RUN for r in self.records.values()):
            terminalreporter.write_line(NOTHING_JUDGED, red=True)
        for line in unjudged_lines(self.records.values()):
            terminalreporter.write_line(line, red=True)
        for line in kept_lines(self.records.values()):
            terminalreporter.write_line(line)
        for line in (*self._unused(), *contradiction_lines(self.contradicting), *self.unwritten):
            terminalreporter.write_line(f"warning: {line}")
        terminalreporter.write_line(LIMIT_OF_A_GREEN_SUITE)
        for line in (INVALID, *self.invalid) if self.invalid else ():
            terminalreporter.write_line(line, red=True)
        for line in self.said:
            terminalreporter.write_line(line)
        terminalreporter.write_line(self.written or "Report: reports/latest/index.html")

    def _tell_selected(self, terminalreporter: Any) -> None:
        loaded = self._loaded()
        told = failedin.about(self.config, {item.id for item in (*loaded.items, *loaded.families)})
        if told is not None:
            terminalreporter.write_line(told)

    def _unused(self) -> tuple[str, ...]:
        """Baselines that no claim is held against, and texts that read otherwise than they look."""
        return (*self._loaded().unused, *contradiction_lines(self._loaded().notes))

    def _loaded(self) -> Loaded:
        from harness.plugin import LOADED

        return self.config.stash[LOADED]

    def _run(self, session: pytest.Session) -> Run:
        interrupted = session.exitstatus in _CUT_SHORT
        return Run.now(
            started=self.started,
            command=redacted(shlex.join(["pytest", *sys.argv[1:]])),
            must_run=is_required(session.config),
            records=list(self.records.values()),
            capture=self.capture,
            partial=bool(interrupted or self.lost),
            faults=self._faults(),
            controls=self.controls,
            weights=self._weights(),
            basis=self._basis(),
            root=session.config.rootpath,
        )

    def _weights(self) -> dict[str, dict[str, Any]]:
        """What the judged evidence was read with, by fingerprint, as the store kept it."""
        from harness.plugin import session_to_read_with

        judged = {r.fingerprint for r in self.records.values() if r.verdict.outcome is not Outcome.NOT_RUN}
        store = session_to_read_with(self.config).runner.store if judged else None
        found = {key: store.get_weights(key) for key in sorted(judged - {""})} if store else {}
        return {key: sample.to_dict() for key, sample in found.items() if sample is not None}

    def _basis(self) -> Basis:
        from harness.plugin import LOADED

        specs = (item for item in self.config.stash[LOADED].items if isinstance(item, Spec))
        return Basis.of(spec for spec in specs if spec.id in self.records)

    def _derived_names(self) -> dict[str, str]:
        """What mutants had read, by code key."""
        from harness.plugin import LOADED

        specs = [item for item in self.config.stash[LOADED].items if isinstance(item, Spec)]
        found = {one.subject for spec in specs for one in guarded(partial(derived_specs, spec), lambda _: [])}
        return {code_key(subject): subject.name for subject in found}

    def _faults(self) -> list[dict[str, str]]:
        """What could not be had, by any process of this run, each once."""
        from harness.plugin import SHARED

        log = RunLog(self.config.stash[SHARED] / RUN_LOG)
        log.refresh()
        names = {record.fingerprint: record.subject for record in self.records.values()}
        if any(code not in names for code, _ in log.faults):
            names = {**self._derived_names(), **names}
        told = [
            {"subject": names.get(code, ""), "code": fault.code, "message": f"{fault.message} {fault.mend}".strip()}
            for (code, _), fault in log.faults.items()
        ]
        return list({(one["subject"], one["message"]): one for one in told}.values())
