"""The figures of a census: the numbers in them are those of the codes, nothing overlaps, the files are stable."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

from harness.capture.pictures import open_picture
from harness.census import census_of
from harness.codes import Kind
from harness.digests import file_digest
from harness.expectations.toy import codes_from_dense
from harness.inputs import Picture, Prompt
from harness.reports.figures import feature, landscape, means, overview, patches, ratios, reconstruction, vision
from harness.reports.figures.about import About
from harness.reports.figures.spread import spread_of
from harness.reports.figures.style import save
from harness.reports.figures.transfer import _pixels, draw_figures, write_figures

D_SAE, PROMPTS, TOKENS, PATCHES = 40, 70, 6, 9
ABOUT = About("tiny-base", "tiny-adapted", "prompts/words.yaml#all", "2026-11-30", "prompts/seen.yaml#drawn")


def codes(seed, kind=Kind.TEXT, tokens=TOKENS, moved=0.0):
    """Random codes of 70 prompts, each feature with its own rate; `moved`: another pattern for half of them."""
    random = np.random.default_rng(0)
    rate = np.linspace(0, 0.9, D_SAE)
    shape = (PROMPTS * tokens, D_SAE)
    fires = random.random(shape) < rate
    if moved:
        other = np.random.default_rng(seed).random(shape) < rate
        fires[:, ::2] = other[:, ::2]
    dense = fires * (1 + random.random(shape))
    h = random.normal(size=(len(dense), 4))
    prompt = np.repeat(np.arange(PROMPTS), tokens)
    made = codes_from_dense(dense, h, 0.9 * h, prompt, PROMPTS, np.full(len(dense), kind, np.uint8))
    return replace(made, token=tuple(f" w{i % 7}" for i in range(len(dense))))


@pytest.fixture(scope="module")
def census():
    return census_of(codes(0), codes(1, moved=1.0), codes(2, Kind.IMAGE, PATCHES))


@pytest.fixture(scope="module")
def spread(census):
    return spread_of(census)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    prompts = []
    for i in range(PROMPTS):
        path = folder / f"{i}.png"
        Image.new("RGB", (12, 12), (i * 3, 40, 90)).save(path)
        prompts.append(Prompt("A thing.", image=Picture(str(path), str(i))))
    return prompts


def dense_mean(one):
    """[d_sae] mean over all tokens, the long way."""
    out = np.zeros(one.d_sae)
    for index, value in zip(one.index, one.value, strict=True):
        out[index] += value / one.n_tokens
    return out


def test_the_overview_draws_means_and_counts(census, spread):
    """Histograms hold every feature that is not silent; counts add up to all features, each with its means."""
    found = overview.numbers(census, spread)
    for name, side in (("base_text", codes(0)), ("adapted_text", codes(1, moved=1.0))):
        mean = dense_mean(side)
        assert np.allclose(spread.mean[name], mean)
        assert found["histograms"][name].sum() == (mean > 0).sum()
    assert sum(found["counts"].values()) == D_SAE
    for name, row in found["rows"].items():
        assert row.base_text_mean == pytest.approx(dense_mean(codes(0))[list(census.categories[name])].mean())


def test_features_of_one_model_are_counted_where_they_cannot_be_drawn(census):
    """Features that fire on the text of one model only have no place on log axes; the title says how many."""
    silenced = replace(codes(1), value=np.where(np.isin(codes(1).index, (20, 21)), 0, codes(1).value))
    figure = means.draw(means.numbers(spread_of(census_of(codes(0), silenced))), "")
    assert "fire in both, 2 in one)" in figure.axes[0].get_title(loc="left")
    figure = means.draw(means.numbers(spread_of(census)), "")
    assert "fire in both, 0 in one)" in figure.axes[0].get_title(loc="left")


def test_the_zoomed_panel_says_what_it_leaves_out(spread):
    """Most features lie inside, and those outside are counted."""
    found = means.numbers(spread)
    larger = np.maximum(spread.mean["base_text"], spread.mean["adapted_text"])
    assert found["outside"] == (larger > found["zoom"]).sum()
    assert 0 < found["outside"] <= 0.1 * D_SAE + 1 or found["zoom"] >= larger.max()
    title = means.draw(found, "").axes[1].get_title(loc="left")
    assert f"{found['outside']} features lie beyond {found['zoom']:g}" in title


def test_ratios_beyond_the_scale_are_at_its_ends(spread):
    """Every feature that fires anywhere is in each histogram, those of one condition only in the last bar."""
    silent = replace(codes(1), value=np.where(codes(1).index == 30, 0, codes(1).value))
    found = ratios.numbers(spread_of(census_of(codes(0), silent)))
    assert len(found["over_base"]["adapted_text"]) == D_SAE - 1, "feature 0 fires nowhere"
    drawn = ratios.draw(found, "").axes[0].patches[0].get_data()
    assert drawn.values.sum() == D_SAE - 1
    assert drawn.values[0] == 1, "feature 30 is lost"
    assert ratios.numbers(spread)["boosts"].keys() <= set(spread.names)


def test_the_boxes_hold_each_counted_token(census):
    """The error of every token, and their mean as the condition's MSE."""
    found = reconstruction.numbers(census)
    assert np.allclose(found["errors"]["base_text"], codes(0).ee / codes(0).d_in)
    assert found["mse"]["base_text"] == pytest.approx((codes(0).ee / codes(0).d_in).mean())


def test_the_landscape_draws_each_feature_once(spread):
    """Jaccard and shares are those counted by hand for one feature."""
    found = landscape.numbers(spread)
    assert sum(len(values) for values in found["jaccard"].values()) == np.isfinite(spread.jaccard).sum()
    a, b = (side.token_column(30) > 0 for side in (codes(0), codes(1, moved=1.0)))
    assert spread.jaccard[30] == pytest.approx((a & b).sum() / (a | b).sum())
    assert spread.jaccard[31] == pytest.approx(1), "an odd feature has not moved"
    assert spread.share["base_text"][30] == pytest.approx(a.reshape(PROMPTS, TOKENS).any(1).mean())


def test_patches_stand_where_they_are_in_the_picture():
    """Reading order, one row of patches after the other; a number of tokens that is no square is refused."""
    one = codes(2, Kind.IMAGE, PATCHES)
    column = one.token_column(20)[:PATCHES]
    assert np.array_equal(patches.patch_values(one, 20, 0), column.reshape(3, 3).astype(float))
    with pytest.raises(ValueError, match="no square"):
        patches.patch_values(codes(2, Kind.IMAGE, 8), 20, 0)


@pytest.mark.parametrize("color", [(220, 20, 20), (20, 200, 20), (20, 20, 220), (250, 160, 0)])
def test_no_color_of_a_picture_can_be_taken_for_activation(color):
    """Where nothing fires the picture under the scale is gray and pale; where something does it is colored or dark."""
    picture = np.full((8, 8, 3), color, np.uint8)
    figure = patches.draw([(picture, np.array([[0.0, 1.0], [2.0, 4.0]]), "")], "feature 3 (new vision)", "")
    under = np.asarray(figure.axes[1].images[0].get_array())
    silent = under[:4, :4]
    assert np.ptp(silent, axis=2).max() < 1e-6
    assert silent.min() >= 0.8
    gray = under[[0, 0, 4, 4], [0, 4, 0, 4]] @ [0.299, 0.587, 0.114]
    assert (np.diff(gray) < -0.1).all(), "darker is more, in black and white too"
    assert "feature 3 (new vision)" in figure.axes[-1].get_ylabel()


def figures_of(census, pictures):
    return dict(draw_figures(census, ABOUT, pictures, 2))


@pytest.fixture(scope="module")
def drawn(pictures):
    """All figures of a census in which some features are new in pictures, and some in text only."""
    silent = replace(codes(0), value=np.where(np.isin(codes(0).index, (25, 26, 27)), 0, codes(0).value))
    adapted = codes(1, moved=1.0)
    seeing = replace(adapted, value=np.where(np.isin(adapted.index, (25, 26)), 0, adapted.value))
    return figures_of(census_of(silent, seeing, codes(2, Kind.IMAGE, PATCHES)), pictures)


def undrawn(figure):
    """Labels of ticks outside the view, and of axes that are switched off: matplotlib keeps them and draws none."""
    for ax in figure.axes:
        if not ax.axison:
            yield from ax.get_xticklabels(which="both") + ax.get_yticklabels(which="both")
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            outside = [tick for tick in ticks if not low <= tick.get_loc() <= high]
            yield from (label for tick in outside for label in (tick.label1, tick.label2))


def boxes(figure):
    """The window extents of every text that is drawn and says something."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    hidden = set(map(id, undrawn(figure)))
    texts = [t for t in figure.findobj(Text) if t.get_visible() and id(t) not in hidden]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text().strip()]


OVERALL = ("overview", "means", "ratios", "landscape", "reconstruction", "vision", "patches")


def clashes(found):
    return [
        (a, b)
        for i, (a, box) in enumerate(found)
        for b, other in found[i + 1 :]
        if min(box.x1, other.x1) - max(box.x0, other.x0) > 2 and min(box.y1, other.y1) - max(box.y0, other.y0) > 2
    ]


def test_no_text_lies_on_another_or_leaves_the_figure(drawn):
    """Titles, labels and ticks of every figure can all be read."""
    for name, figure in drawn.items():
        found = boxes(figure)
        width, height = figure.canvas.get_width_height()
        outside = [t for t, box in found if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
        assert outside == [], name
        assert clashes(found) == [], name


def test_the_check_for_overlaps_sees_one(census, spread):
    """Two texts at one place are found."""
    figure = overview.draw(overview.numbers(census, spread), "")
    for word in ("here", "there"):
        figure.text(0.5, 0.5, word)
    assert ("here", "there") in clashes(boxes(figure))


def test_every_figure_says_what_it_is_about(drawn):
    """Both subjects, the prompts and pictures with their numbers, how tokens were counted, and the day."""
    assert set(OVERALL) < set(drawn)
    for name, figure in drawn.items():
        head = figure._suptitle.get_text().replace("\n", " ")
        said = ("tiny-base (base)", "tiny-adapted (adapted)", "70 prompts of prompts/words.yaml#all", "2026-11-30")
        for words in (*said, "70 pictures of prompts/seen.yaml#drawn", "aligned, special tokens ignored"):
            assert words in head, name


def idle(figures):
    """Figures with a panel that shows nothing, or a legend that tells nothing apart."""
    for name, figure in figures.items():
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        if any(len(legend.get_texts()) < 2 for legend in legends):
            yield f"{name}: legend"
        if not all(ax.collections or ax.patches or ax.images for ax in figure.axes):
            yield f"{name}: panel"


def test_no_panel_is_empty_and_no_legend_idle(drawn):
    """Every panel draws something besides a line to compare it with, and a legend tells at least two things apart."""
    assert list(idle(drawn)) == []
    figure = drawn["means"].__class__()
    figure.subplots().plot([0, 1], [0, 1], label="y = x")
    figure.axes[0].legend()
    assert list(idle({"empty": figure})) == ["empty: legend", "empty: panel"]


def only(codes, *features):
    return replace(codes, value=np.where(np.isin(codes.index, features), codes.value, 0).astype(np.float32))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["aligned", "ratio_of_means"])
@pytest.mark.parametrize(
    ("base", "adapted", "seen", "figures"),
    [
        ((), (), (), {"overview", "reconstruction"}),
        ((), (), (10, 11), {"overview", "ratios", "landscape", "reconstruction"}),
        ((30, 31), (20, 21), (10,), {"overview", "means", "ratios", "landscape", "reconstruction"}),
        ((30,), (30,), None, {"overview", "means", "ratios", "landscape", "reconstruction"}),
    ],
)
def test_what_has_nothing_to_show_is_not_drawn(method, base, adapted, seen, figures):
    """Nothing fires, pictures only, other features in each model, one feature: no empty panel, no warning."""
    images = None if seen is None else only(codes(2, Kind.IMAGE, PATCHES), *seen)
    census = census_of(only(codes(0), *base), only(codes(1), *adapted), images, method=method)
    found = dict(draw_figures(census, ABOUT, (), 1))
    assert {name for name in found if "/" not in name} == figures
    assert list(idle(found)) == []


def test_nothing_is_drawn_twice(drawn):
    """No two panels of the figures have the same axes and the same title."""
    seen = [
        (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel())
        for name in OVERALL
        for ax in drawn[name].axes
        if ax.get_xlabel()
    ]
    assert len(set(seen)) == len(seen) >= 10


def test_a_feature_new_in_pictures_shows_image_tokens(drawn):
    """Its figure has a histogram of them; a model whose text it never fires on gets no panel, and a line."""
    figure = drawn["features/new_vision-25"]
    assert [ax.get_title(loc="left") for ax in figure.axes][1:] == [
        f"It fires on {codes(2, Kind.IMAGE, PATCHES).token_column(25).astype(bool).sum()} of 630 image tokens"
    ]
    assert "it fires on no word of base text" in figure.axes[0].get_xlabel()
    stable = next(figure for name, figure in drawn.items() if name.startswith("features/stable"))
    assert [ax.get_title(loc="left")[:16] for ax in stable.axes][1:] == ["Strongest tokens"] * 2


@pytest.mark.parametrize(("token", "shown"), [("$x_$", "$x_$"), ("$x$", "$x$"), ("\u732b", "\\u732b")])
def test_tokens_are_drawn_as_they_are(token, shown, tmp_path):
    """Dollars are no mathematics (`$x_$` would not even parse); what the font lacks stands as its number."""
    sides = [replace(side, token=(token,) * side.n_tokens) for side in (codes(0), codes(1, moved=1.0))]
    census = census_of(*sides)
    svg, _ = save(feature.draw(feature.numbers(census, census.analyses(1)[0]), "a $b_$"), tmp_path, "feature")
    assert f">{shown}<" in svg.read_text()
    assert "a $b_$<" in svg.read_text()


def test_a_picture_is_turned_as_the_model_saw_it(tmp_path):
    """A photograph that its camera marked as lying on its side is drawn upright, under patches read upright."""
    from PIL import Image

    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (20, 10)).save(path, exif=exif)
    picture = Picture(str(path), file_digest(path))
    assert _pixels(Prompt("", image=picture)).shape == np.asarray(open_picture(picture)).shape == (20, 10, 3)


def test_all_files_are_written_and_stable(census, pictures, tmp_path):
    """SVG and PNG of each figure; the same numbers give the same bytes."""
    first, again = (write_figures(census, ABOUT, pictures, tmp_path / name, 0) for name in "ab")
    names = {path.name for path in first}
    assert names == {f"{n}.{kind}" for n in OVERALL if n != "vision" for kind in ("svg", "png")}
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_without_pictures_nothing_is_drawn_of_them():
    """No figure of pictures, and no panel or word about them in the others."""
    figures = figures_of(census_of(codes(0), codes(1, moved=1.0)), ())
    assert [n for n in figures if "/" not in n] == ["overview", "means", "ratios", "landscape", "reconstruction"]
    for name, figure in figures.items():
        assert not [t for t, _ in boxes(figure) if "picture" in t or "image" in t], name
    assert [len(figures[n].axes) for n in ("means", "ratios", "landscape")] == [2, 1, 3]


def test_models_that_read_other_tokens_have_no_panels_about_the_same_tokens(spread):
    """Without an alignment the landscape holds shares only."""
    unknown = np.full(D_SAE, np.nan)
    figure = landscape.draw(landscape.numbers(replace(spread, jaccard=unknown, pearson=unknown)), "")
    assert [ax.get_title(loc="left")[:9] for ax in figure.axes] == ["How often", "How often"]


def test_vision_is_drawn_where_something_is_new(census, spread, drawn):
    """Shares of prompts and pictures of the features that are new in pictures, and the SAE's FVU there."""
    assert vision.numbers(census, spread)["features"] == []
    assert {"feature 25", "feature 26"} <= {label.get_text() for label in drawn["vision"].axes[0].get_yticklabels()}
    assert "FVU on image tokens" in drawn["vision"].axes[0].get_title(loc="left")
