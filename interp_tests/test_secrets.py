"""Tokens of the environment, the hub's configuration and the command line: in nothing that a run writes or says."""

import json
import shlex
import shutil
import sys

import pytest

from harness.errors import EnvironmentFault
from harness.redaction import redacted
from interp_tests.project import REPO, make_project

PLANTED = {
    "HF_TOKEN": "hf_" + "PlantedA" * 4,
    "HUGGING_FACE_HUB_TOKEN": "hf_" + "PlantedB" * 4,
    "GITHUB_TOKEN": "ghp_" + "PlantedC" * 5,
    "GH_TOKEN": "github_pat_" + "PlantedD" * 5,
    "WANDB_API_KEY": "PlantedE" * 5,
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDFPLANTEDF"[:20],
    "AWS_SECRET_ACCESS_KEY": "Planted/G+" * 4,
    "AWS_SESSION_TOKEN": "PlantedH/" * 8,
    "OPENAI_API_KEY": "sk-" + "PlantedI" * 5,
    "DATABASE_PASSWORD": "PlantedJ-correct-horse",
    "MY_PAT": "PlantedN" * 4,
    "DB_PASS": "hunter2hunter2",
    "SIGNING_KEY": "PlantedO/1=" * 3,
    "BEARER": "PlantedP" * 4,
    "AUTHORIZATION": "Basic UGxhbnRlZFE6UGxhbnRlZFE=",
    "SSH_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\n" + "PlantedR" * 8 + "\n-----END PRIVATE KEY-----\n",
    "NPM_AUTH": "UGxhbnRlZFM6UGxhbnRlZFM=",
    "PGPASS": "PlantedT-swordfish",
    "SENTRY_DSN": "https://" + "PlantedU" * 4 + "@o1.ingest.example/17",
    "MYSQL_PWD": "PlantedV-swordfish",
    "npm_config__auth": "PlantedW-9" * 3,
    "REGISTRY_COOKIE": "PlantedX=" * 3,
}
FILES = {"token": "hf_" + "PlantedK" * 4, "stored_tokens": "[mine]\nhf_token = hf_" + "PlantedL" * 4 + "\n"}
ON_THE_COMMAND_LINE = "hf_" + "PlantedM" * 4
ALL = [
    *(value for name, value in PLANTED.items() if name != "SSH_PRIVATE_KEY"),
    *("PlantedR" * 8, FILES["token"], "hf_" + "PlantedL" * 4, ON_THE_COMMAND_LINE),
]
CLAIM = "- {id: a, feature: 17, fires_more: {prompts: color, than: plain}}\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A cold run with secrets all round: a claim that is judged, missing weights, a load that fails, a broken file."""
    root = tmp_path_factory.mktemp("secrets")
    project = make_project(root / "repo", root / "work/store.sqlite")
    (root / "home").mkdir()
    for name, text in FILES.items():
        (root / "home" / name).write_text(text)
    shutil.copytree(project.root / "zoo/model", project.root / "zoo/torn")
    (project.root / "zoo/torn/config.json").write_text(json.dumps({"model_type": PLANTED["HF_TOKEN"]}))
    subjects = project.root / "specs/subjects.yaml"
    text = subjects.read_text().replace("saes:", "  torn: {path: zoo/torn}\nsaes:", 1)
    subjects.write_text(text + "  torn: {model: torn, sae: tiny, dtype: float32, device: cpu}\n")
    project.suite("good", CLAIM)
    project.suite("gone", CLAIM, subjects="gone")
    project.suite("torn", CLAIM, subjects="torn")
    (project.root / "specs/broken.yaml").write_text("expect: [\n")
    planted = {**PLANTED, "HF_HOME": str(root / "home"), "HF_HUB_OFFLINE": "1"}
    command = [
        "--junitxml=junit.xml",
        "-v",
        "--color=no",
        "-o",
        f"junit_suite_name={ON_THE_COMMAND_LINE}",
        "-x",
        "--maxfail=99",
    ]
    done = project.pytest(*command, **planted)
    assert done.returncode == 1, done.stdout[-3000:]
    (root / "junit.xml").write_text((project.root / "junit.xml").read_text().replace(ON_THE_COMMAND_LINE, "asked for"))
    (project.root / "junit.xml").unlink()  # named so by the one who ran it
    return root, project, done


@pytest.mark.parametrize("secret", ALL)
def test_no_byte_that_is_written_holds_it(run, secret):
    """Reports, the store and its companions, logs, caches, JUnit: every byte of every file, but those it was put in."""
    root, project, _ = run
    ours = {root / "home" / name for name in FILES} | {project.root / "zoo/torn/config.json"}
    files = [path for path in root.rglob("*") if path.is_file() and path not in ours]
    assert {"results.json", "results.csv", "summary.md", "index.html", "store.sqlite", "junit.xml"} <= {
        f.name for f in files
    }
    assert [str(path) for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("secret", ALL)
def test_nothing_that_is_said_holds_it(run, secret):
    """The failure texts and the table, on both streams."""
    done = run[2]
    assert secret not in done.stdout + done.stderr


def test_the_run_did_all_that(run):
    """The checks above can fail: one claim was judged, both loads failed, and the failing load quoted its file."""
    _, project, _ = run
    assert project.outcomes() == {
        "good::a": "inconclusive",
        "gone::a": "not_run",
        "torn::a": "not_run",
        "broken": "not_run",
    }
    told = project.results()
    assert "[secret]" in told["run"]["command"]
    (torn,) = [r for r in told["records"] if r["id"] == "torn::a"]
    assert "[secret]" in torn["finding"], torn["finding"]


COMMANDS = {
    "doctor": ["doctor"],
    "doctor --json": ["doctor", "--json"],
    "check": ["check"],
    "warm": ["warm", "specs/torn.yaml", "specs/good.yaml"],
    "explain": ["explain", "good::a"],
    "mutate": ["mutate", "specs/good.yaml"],
    "history": ["history"],
    "history of a claim": ["history", "good::a"],
    "show": ["show", "latest"],
    "store size": ["store", "size"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_says_it(run, name):
    """Each, with every secret in PYTEST_ADDOPTS, which doctor shows, and a model that quotes one as it fails."""
    root, project, _ = run
    options = " ".join(f"-o x={shlex.quote(value)}" for value in PLANTED.values())
    command = ["env", *([f"PYTEST_ADDOPTS={options}"] if name != "mutate" else [])]  # which pytest would obey
    planted = {**PLANTED, "HF_HOME": str(root / "home"), "HF_HUB_OFFLINE": "1"}
    done = project.run([*command, sys.executable, "-m", "harness", *COMMANDS[name]], **planted)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert [secret for secret in ALL if secret in said] == []
    assert "[secret]" in said or name not in ("doctor", "doctor --json", "warm")


@pytest.mark.parametrize("name", PLANTED)
def test_an_environments_secret_is_taken_out_of_a_fault(monkeypatch, name):
    """Whatever a library quotes, with the words around it kept."""
    monkeypatch.setenv(name, PLANTED[name])
    fault = EnvironmentFault("load", f"401 for Bearer {PLANTED[name]}, try again", f"unset {PLANTED[name]}")
    assert PLANTED[name] not in f"{fault} {fault.message} {fault.mend} {fault.args}"
    assert "401 for Bearer [secret], try again" in str(fault)


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "x" * 30,
        "ghp_" + "x" * 36,
        "gho_" + "1" * 36,
        "github_pat_" + "a_" * 20,
        "glpat-" + "x" * 20,
        "AKIA" + "A" * 16,
        "sk-" + "x" * 40,
        "xoxb-1234567890-abc",
        "https://me:word@example.com/x",
        "redis://:word@example.com/0",
        "https://0123456789abcdef@example.com/1",
    ],
)
def test_a_token_of_a_known_shape_is_taken_out(text):
    """A token that this process does not have, as on the command line."""
    assert redacted(f"pytest -k {text} -v") != f"pytest -k {text} -v"
    assert "[secret]" in redacted(text)


@pytest.mark.parametrize(
    "text", ["hf_hub", "half_life", "sk-learn", "ghp", "a:b@c", "risk-" + "x" * 5, "https://example.com"]
)
def test_ordinary_words_stay(text, monkeypatch):
    """Short values of such variables, and words that only begin so."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert redacted(f"it is false that {text}") == f"it is false that {text}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "/some/where/else") for name in ("PWD", "OLDPWD", "HISTFILE", "XAUTHORITY", "SSH_AUTH_SOCK", "PATH")),
        *((name, "some-long-word-1") for name in ("KEYBOARD", "MONKEY", "KEY_BINDINGS", "COMPASS", "BYPASS")),
        *((name, "some-long-word-1") for name in ("PATTERN", "PASSES", "TOX_TESTENV_PASSENV", "GIT_AUTHOR_NAME")),
        *((name, "required") for name in ("SMTP_AUTH", "SORT_KEY")),
        *((name, "1234567") for name in ("DB_PASS", "MY_PAT", "API_TOKEN", "SIGNING_KEY")),
        *((name, "/") for name in ("DB_PASS", "SSH_KEY")),
        *((name, str(REPO)) for name in ("WORK_PWD", "DEPLOY_KEY", "MY_TOKEN")),
    ],
)
def test_what_is_no_secret_stays(monkeypatch, name, value):
    """Names that only hold such letters, values that are short, an ordinary word or a place that is there."""
    monkeypatch.setenv(name, value)
    assert redacted(f"in {value} it says so") == f"in {value} it says so"
