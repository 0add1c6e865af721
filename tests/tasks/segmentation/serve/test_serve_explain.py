"""`POST /explain`: what a pixel is made of, and where else that is."""

import base64

import numpy as np
import pytest
import torch

from serving import application, encoded, opened, post, sentence, telling_network, waves
from subquad import create_model
from subquad.engine.preprocess import preprocess
from subquad.explain.code_maps import ham_factors
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.tiling import Tiling

PIXELS = waves(64, 96)


def heat_of(told):
    return np.asarray(opened(base64.b64decode(told["map"]))).astype(float)


def codes(network, tiling=None, pixels=PIXELS):
    return codes_of(network, torch.from_numpy(pixels).movedim(2, 0), tiling)


def test_columns_and_context_of_a_pixel():
    network = telling_network()
    told = post(application(network), "/explain?x=50&y=20", encoded(PIXELS)).json()
    assert (told["x"], told["y"], told["steps"], told["count"]) == (50, 20, 7, 4)
    found = codes(network)
    assert told["grid"] == list(found.grid)
    rows, columns = found.grid
    position = found.position(50, 20)
    assert position == 20 * rows // 64 * columns + 50 * columns // 96
    shares = [one["share"] for one in told["columns"]]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)
    for one in told["columns"]:
        assert one["share"] == pytest.approx(float(found.shares(position)[one["column"]]))
        assert np.unravel_index(heat_of(one).argmax(), found.grid) == np.unravel_index(
            int(found.column(one["column"]).argmax()), found.grid
        )
    context = told["context"]
    heat = context["lowest"] + heat_of(context) / 255 * (context["highest"] - context["lowest"])
    assert np.allclose(heat, found.context(position), atol=0.003)
    assert heat.ravel()[position] == pytest.approx(1, abs=0.003), "nothing is more like it than itself"
    assert context["lowest"] < 0.99


def test_what_the_network_saw_is_what_is_explained():
    """In the number of steps that was asked for; the next pixel is answered without the network."""
    network = telling_network()
    runs = []
    network.register_forward_hook(lambda *_: runs.append(1))
    app = application(network)
    address = "/explain?x=1&y=2&steps="
    one, again, two = (post(app, address + k, encoded(PIXELS)).json() for k in ("1", "1", "8"))
    assert one == again and len(runs) == 2
    assert one["context"] != two["context"]
    x = preprocess(torch.from_numpy(PIXELS).movedim(2, 0)[None], network.config)
    network.head.hamburger.ham.eval_steps = 8
    factors, grid = ham_factors(network, x)
    length = factors.dictionary[0].norm(dim=0) * factors.codes[0, :, 0]
    assert two["columns"][0]["share"] == pytest.approx(float(length.max() / length.sum()))
    assert two["grid"] == list(grid)
    assert post(app, "/explain?x=1&y=2", encoded(PIXELS)).json()["steps"] == 7


def test_pictures_that_are_shown_reduced_are_explained_so(monkeypatch):
    """And never cut unasked: the network was not trained on parts of a large picture."""
    monkeypatch.setattr("subquad.tasks.segmentation.serve.questions.WHOLE_PIXELS", 10)
    network = telling_network(resize=(48, 32))
    app = application(network)
    told = post(app, "/explain?x=95&y=63&tile=auto", encoded(PIXELS)).json()
    rows, columns = (side // 2 for side in codes(telling_network()).grid)
    assert told["grid"] == [rows, columns]
    assert codes(network).position(95, 63) == rows * columns - 1
    assert post(app, "/predict?tile=auto", encoded(PIXELS)).json()["tiles"] == 1
    assert post(app, "/predict?tile=128", encoded(waves(64, 300))).json()["tiles"] > 1


@pytest.mark.parametrize("size", [(150, 300), (257, 130), (128, 131), (64, 96)])
def test_tiles_make_one_map(size):
    """Their positions fit together to the grid of the whole picture, and show what it shows."""
    network, pixels = telling_network(), waves(*size)
    whole, tiled = codes(network, None, pixels), codes(network, Tiling(tile=128), pixels)
    assert tiled.grid == whole.grid and tiled.size == whole.size
    here = whole.position(10, 10)
    likeness = np.corrcoef(whole.context(here).flatten(), tiled.context(here).flatten())[0, 1]
    assert likeness > 0.9


def test_positions_cover_the_picture():
    found = codes(telling_network(), None, waves(45, 70))
    rows, columns = found.grid
    assert found.position(0, 0) == 0
    assert found.position(69, 44) == rows * columns - 1


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/explain?x=96&y=0", "`x` must be a whole number from 0 to 95, got '96'"),
        ("/explain?x=0&y=64", "`y` must be a whole number from 0 to 63"),
        ("/explain?x=0", "`y` is missing: a whole number from 0 to 63"),
        ("/explain?x=-1&y=0", "got '-1'"),
        ("/explain?x=0&y=0&share_dictionary=true", "no parameter 'share_dictionary'"),
    ],
)
def test_a_pixel_that_is_none(address, said):
    assert said in sentence(post(application(), address, encoded(PIXELS)), 422)


def test_nothing_is_computed_for_a_pixel_that_is_none():
    network, runs = telling_network(), []
    network.register_forward_hook(lambda *_: runs.append(1))
    app = application(network)
    for address in ("/explain", "/explain?x=1", "/explain?x=1&y=64"):
        sentence(post(app, address, encoded(PIXELS)), 422)
    assert not runs


def test_one_picture_at_a_time():
    two = [encoded(PIXELS)] * 2
    assert "one picture is explained" in sentence(post(application(), "/explain?x=1&y=1", *two), 422)


@pytest.mark.parametrize("context", ["attention", "none"])
def test_a_network_without_a_dictionary_says_so(context):
    app = application(telling_network(context=context))
    told = sentence(post(app, "/explain?x=1&y=1", encoded(PIXELS)), 422)
    assert f"its context is '{context}'" in told
    assert "leave `steps` out" in sentence(post(app, "/predict?steps=3", encoded(PIXELS)), 422)
    told = sentence(post(app, "/predict?tile=128&share_dictionary=true", encoded(PIXELS)), 422)
    assert "no dictionary that tiles could share" in told
    assert post(app, "/predict", encoded(PIXELS)).json()["steps"] is None


def test_the_ham_of_an_explanation_sees_what_it_sees_in_a_prediction():
    network = telling_network(resize=(48, 32))
    picture, seen = torch.from_numpy(PIXELS).movedim(2, 0), []
    network.head.hamburger.ham.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    predict_labels(network, picture[None])
    codes_of(network, picture, None)
    assert len(seen) == 2 and torch.equal(*seen)


def test_where_sides_are_not_divided_a_pixel_has_its_own_position():
    """A network on a backbone of timm pads; 100 pixels are twelve and a half positions of eight."""
    pytest.importorskip("timm")
    torch.manual_seed(0)
    options = {"backbone": "timm/test_efficientnet", "ham_channels": 32, "channels": 32, "rank": 4}
    network = create_model("light_ham_van_tiny_d256", num_classes=3, **options).eval()
    found = codes(network, pixels=waves(100, 64))
    assert found.grid == (13, 8) and found.covered == (12.5, 8)
    assert [found.position(0, y) // 8 for y in range(100)] == [y // 8 for y in range(100)]
    tiled = codes(network, Tiling(tile=128), pixels=waves(100, 300))
    assert tiled.grid == (13, 38) and tiled.covered == (12.5, 37.5)
    assert codes(telling_network()).covered == codes(telling_network()).grid
