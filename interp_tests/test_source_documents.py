"""docs/source-documents.md: its tables list all that both documents have, and every name and test in them exists."""

import ast
import csv
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/source-documents.md").read_text()

# What the two documents define or draw, in their own words.
MODULE = """
encode_prompts top_features_for_prompt differential_features scan_prompts_for_feature fire_rate pretty_ranking
FeatureRanking capture_residual
""".split()
NOTEBOOK = """
GEMMA_MODEL_NAME PALIGEMMA_MODEL_NAME DEVICE TARGET_LAYER SAE_HIDDEN_DIM NUM_FEATURES_TO_ANALYZE TOP_K_ACTIVATIONS
SparseAutoencoder encode decode forward get_feature_activations load_gemmascope_sae train_simple_sae ActivationExtractor
extract_text_activations extract_image_text_activations TEXT_PROMPTS download_spair71k get_sample_images
classify_features get_special_token_set is_meaningful_token get_top_activating_examples analyze_single_feature
plot_feature_comparison select_top_features
""".split()
COLUMNS = """
feature_idx category gemma_mean_activation gemma_max_activation paligemma_text_mean paligemma_text_max paligemma_mm_mean
paligemma_mm_max transfer_ratio vision_boost
""".split()
FIGURES = {"9": 1, "12": 4, "13": 1, "17": 2, "18": 6}  # panels by cell, a feature's three as one
CELLS = [str(number) for number in range(1, 20)]


def tables(page):
    """(heading, rows) of each table of names, each row its cells."""
    found, heading, inside = [], "", False
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|") and not inside:
            found.append((heading, []))
        if line.startswith("|") and not line.startswith("|--"):
            found[-1][1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return [(heading, body) for heading, body in found if "what differs" in body[0]]


def rows(page=PAGE):
    """(heading, cell or "", item, here, test) of every row that names something of ours."""
    found = []
    for heading, (head, *body) in tables(page):
        at = {name: i for i, name in enumerate(head)}
        item = at.get("in the notebook", at.get("in the module"))
        for row in body:
            cell = row[at["cell"]] if "cell" in at else ""
            found.append((heading, cell, row[item], row[at["here"]], row[at["test (interp_tests/)"]]))
    return found


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


@cache
def functions_in(name):
    """The test functions of a file under interp_tests/, wherever it lies."""
    (path,) = (ROOT / "interp_tests").rglob(name)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def is_test(name):
    file, _, function = name.partition("::")
    try:
        return function in functions_in(file)
    except ValueError:
        return False


def is_there(name):
    """A dotted name of ours, an option of `interp transfer`, a command, or a file."""
    if name.startswith("--"):
        return name in transfer_options()
    if name.startswith("interp "):
        from harness.cli import app

        return name.split()[1] in {
            one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands
        }
    if "/" in name:
        return (ROOT / name).exists()
    return name.startswith("harness.") and _resolves(name)


@cache
def transfer_options():
    from typer.testing import CliRunner

    from harness.cli import app

    shown = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, ["transfer", "--help"]).output
    return set(re.findall(r"--[a-z-]+", shown))


def _resolves(name):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, getattr(found, "__dataclass_fields__", {}).get(part))
        return found is not None
    return False


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}"[:60])
def test_what_a_row_names_exists(row):
    """Each row has a name here and a test, and all of them can be found."""
    _, _, _, here, test = row
    assert quoted(here)
    assert quoted(test)
    assert [name for name in quoted(here) if not is_there(name)] == []
    assert [name for name in quoted(test) if not is_test(name)] == []


def test_names_that_do_not_exist_are_found():
    """The checks above can fail."""
    wrong = [
        "harness.census.Census.gone",
        "harness.gone",
        "--gone",
        "interp gone",
        "docs/gone.md",
        "numpy.mean",
        "gone",
    ]
    assert not [name for name in wrong if is_there(name)]
    assert not is_test("test_census.py::test_gone")
    assert not is_test("test_gone.py::test_census")


def test_everything_of_both_documents_is_listed():
    """Every function, class, constant, column and figure, and every cell of the notebook."""
    listed = {word for _, _, item, _, _ in rows() for name in quoted(item) for word in re.findall(r"\w+", name)}
    assert {*MODULE, *NOTEBOOK, *COLUMNS} <= listed
    assert {cell for _, cell, *_ in rows() if cell} == set(CELLS)
    drawn = [cell for heading, cell, *_ in rows() if heading == "Figures"]
    assert {cell: drawn.count(cell) for cell in drawn} == FIGURES
    columns = [quoted(item)[0] for heading, _, item, *_ in rows() if heading == "Columns"]
    assert columns == COLUMNS


def test_a_row_that_is_taken_away_is_missed():
    """The list above is compared with the page, not with itself."""
    less = "\n".join(line for line in PAGE.splitlines() if "`classify_features`" not in line)
    listed = {word for _, _, item, _, _ in rows(less) for name in quoted(item) for word in re.findall(r"\w+", name)}
    assert "classify_features" not in listed


def test_the_columns_are_written_in_this_order(tmp_path):
    """What the page lists is what the file's head is."""
    from harness.reports import transfer

    class NoFeatures:
        @staticmethod
        def rows(limit):
            return []

    transfer.write_csv(NoFeatures(), tmp_path / "features.csv", 50)
    with (tmp_path / "features.csv").open() as file:
        assert next(csv.reader(file)) == COLUMNS


def test_the_transcription_is_independent():
    """Nothing in the notebook's transcription comes from harness/."""
    tree = ast.parse((ROOT / "interp_tests/plain_twins/notebook.py").read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert modules
    assert not [module for module in modules if module.split(".")[0] in ("harness", "interp_tests")]
