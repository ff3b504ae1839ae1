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
from harness.reports.figures import features, landscape, overview, patches
from harness.reports.figures.spread import spread_of
from harness.reports.figures.style import save
from harness.reports.figures.transfer import _pixels, write_figures

D_SAE, PROMPTS, TOKENS, PATCHES = 40, 70, 6, 9


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
    """Histograms hold every feature that is not silent; counts add up to all features."""
    found = overview.numbers(spread)
    for name, side in (("base_text", codes(0)), ("adapted_text", codes(1, moved=1.0))):
        mean = dense_mean(side)
        assert np.allclose(spread.mean[name], mean)
        assert found["histograms"][name].sum() == (mean > 0).sum()
    assert sum(found["counts"].values()) == D_SAE
    assert found["counts"] == {name: n for name, n in census.counts.items() if n}
    both = (dense_mean(codes(0)) > 0) & (dense_mean(codes(1, moved=1.0)) > 0)
    assert len(found["points"][0]) == both.sum()


def test_features_of_one_model_are_counted_where_they_cannot_be_drawn(census):
    """Features that fire on the text of one model only have no place in the scatter; it says how many."""
    silenced = replace(codes(1), value=np.where(np.isin(codes(1).index, (20, 21)), 0, codes(1).value))
    found = overview.numbers(spread_of(census_of(codes(0), silenced)))
    assert found["in_one"] == 2
    assert any("2 more fire in one only" in text.get_text() for text in overview.draw(found).axes[2].texts)
    assert overview.numbers(spread_of(census))["in_one"] == 0


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


def figures_of(census, spread):
    return {
        "overview": overview.draw(overview.numbers(spread)),
        "landscape": landscape.draw(landscape.numbers(spread)),
        "features": features.draw_compared(features.compared_numbers(census.analyses(4))),
        "vision": features.draw_vision(features.vision_numbers(census, spread)),
    }


def undrawn(figure):
    """Labels of ticks outside the view: matplotlib keeps them and draws none."""
    for ax in figure.axes:
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


@pytest.mark.parametrize("name", ["overview", "landscape", "features", "vision"])
def test_no_text_lies_on_another_or_leaves_the_figure(census, spread, name):
    """Titles, labels and ticks can all be read."""
    figure = figures_of(census, spread)[name]
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    outside = [text for text, box in found if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    assert outside == []
    clash = [
        (a, b)
        for i, (a, box) in enumerate(found)
        for b, other in found[i + 1 :]
        if min(box.x1, other.x1) - max(box.x0, other.x0) > 2 and min(box.y1, other.y1) - max(box.y0, other.y0) > 2
    ]
    assert clash == []


def test_the_check_for_overlaps_sees_one(census, spread):
    """Two texts at one place are found."""
    figure = figures_of(census, spread)["overview"]
    for word in ("here", "there"):
        figure.text(0.5, 0.5, word)
    found = dict(boxes(figure))
    assert found["here"].x0 == found["there"].x0


@pytest.mark.parametrize(("token", "shown"), [("$x_$", "$x_$"), ("$x$", "$x$"), ("\u732b", "\\u732b")])
def test_tokens_are_drawn_as_they_are(token, shown, tmp_path):
    """Dollars are no mathematics (`$x_$` would not even parse); what the font lacks stands as its number."""
    sides = [replace(side, token=(token,) * side.n_tokens) for side in (codes(0), codes(1, moved=1.0))]
    figure = features.draw_compared(features.compared_numbers(census_of(*sides).analyses(1)))
    svg, _ = save(figure, tmp_path, "features")
    assert f": {shown}<" in svg.read_text()


def test_a_picture_is_turned_as_the_model_saw_it(tmp_path):
    """A photograph that its camera marked as lying on its side is drawn upright, under patches read upright."""
    from PIL import Image

    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (20, 10)).save(path, exif=exif)
    picture = Picture(str(path), file_digest(path))
    assert _pixels(Prompt("", image=picture)).shape == np.asarray(open_picture(picture)).shape == (20, 10, 3)


def test_all_files_are_written_and_stable(census, pictures, tmp_path):
    """SVG and PNG of five figures; the same numbers give the same bytes."""
    first = write_figures(census, pictures, tmp_path / "a", 4)
    again = write_figures(census, pictures, tmp_path / "b", 4)
    assert {path.name for path in first} == {
        f"{n}.{kind}" for n in ("overview", "features", "landscape", "vision", "patches") for kind in ("svg", "png")
    }
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_without_pictures_nothing_is_drawn_of_them(tmp_path):
    """Three figures, and the panels about pictures say that none were read."""
    census = census_of(codes(0), codes(1, moved=1.0))
    paths = write_figures(census, (), tmp_path, 4)
    assert {path.stem for path in paths} == {"overview", "features", "landscape"}
    assert "no pictures were read" in (tmp_path / "overview.svg").read_text()
