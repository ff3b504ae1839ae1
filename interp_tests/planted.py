"""A repository with one tiny random model and its SAE, in which a test plants one thing that does not fit."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from harness.language.specs import load
from harness.reports.record import Record
from harness.session import open_session
from harness.spec import Spec
from harness.store import Store
from interp_tests.project import COLOR, PLAIN
from interp_tests.tiny_random import D_MODEL, D_SAE, HOOK, build_tiny

CLAIM = "{id: fires, scope: sample, sparsity: {prompts: color, l0: {at_least: 1}}}"


@dataclass
class Planted:
    """zoo/model (Gemma 2), zoo/sae-jumprelu and zoo/sae-topk; `model`, `sae` and `subject` are its entries.

    claims: the YAML of each claim; sets: those of the suite; by itself the project is met, and `judged` says so.
    """

    root: Path
    model: dict = field(default_factory=lambda: {"path": "zoo/model"})
    sae: dict = field(default_factory=lambda: {"path": "zoo/sae-jumprelu", "hook": HOOK})
    subject: dict = field(default_factory=lambda: {"model": "tiny", "sae": "tiny", "max_tokens": 128})
    claims: tuple[str, ...] = (CLAIM,)
    sets: dict = field(default_factory=lambda: {"color": COLOR, "plain": PLAIN})

    def __post_init__(self):
        (self.root / "specs").mkdir(parents=True)
        build_tiny(self.root / "zoo")

    def says(self, **metadata):
        """What the SAE says in its cfg.json: fields of `metadata`; those of the configuration keep their place."""
        path = self.root / self.sae["path"] / "cfg.json"
        config = json.loads(path.read_text())
        for key, value in metadata.items():
            (config if key in config and key != "metadata" else config["metadata"])[key] = value
        path.write_text(json.dumps(config))

    def write(self):
        """specs/ as the entries say."""
        entries = {"models": self.model, "saes": self.sae, "subjects": self.subject}
        text = "".join(f"{section}:\n  tiny: {json.dumps(entry)}\n" for section, entry in entries.items())
        (self.root / "specs/subjects.yaml").write_text(text)
        head = f"title: planted\nsubjects: [tiny]\nprompts: {json.dumps(self.sets)}\nexpect:\n"
        (self.root / "specs/planted.yaml").write_text(head + "".join(f"  - {claim}\n" for claim in self.claims))

    def judged(self, store="store.sqlite"):
        """One record of each claim, or of what cannot be read; from the current folder, as a run does."""
        self.write()
        items = load(self.root).items
        shared = Path(tempfile.mkdtemp(prefix="shared-", dir=self.root))  # a run of its own: faults are noted there
        specs = [item for item in items if isinstance(item, Spec)]
        session = open_session(specs, Store(self.root / store), shared, lambda spec: True, lambda line: None)
        return [session.record(item) for item in items]


def told(records: list[Record]) -> str:
    """Everything that a reader of the results is shown of these records, in one text."""
    return json.dumps([record.to_dict() for record in records])


def is_plain_green(records: list[Record]) -> bool:
    """Whether all is met and nothing is said beside it."""
    return all(record.standing == "met" and not record.verdict.warnings for record in records)


__all__ = ["COLOR", "D_MODEL", "D_SAE", "HOOK", "PLAIN", "Planted", "is_plain_green", "told"]
