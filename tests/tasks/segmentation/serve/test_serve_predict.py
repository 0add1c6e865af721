"""`POST /predict` answers what `subquad predict` writes, bit by bit, whoever else asks meanwhile."""

import asyncio
import base64
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from serving import (
    HERE,
    application,
    ask,
    client,
    encoded,
    images,
    opened,
    post,
    sentence,
    telling_network,
    waves,
)
from subquad import save_model
from subquad.nn import Ham
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.serve import answers
from subquad.tasks.segmentation.serve.app import ASSETS
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import Tiling


def mask_of(told):
    return base64.b64decode(told["mask"])


def expected(network, pixels, steps=7):
    """What a network says of pixels, upright."""
    for ham in network.modules():
        if isinstance(ham, Ham):
            ham.eval_steps = steps
    return predict_labels(network, torch.from_numpy(pixels).movedim(2, 0)[None])[0].numpy()


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_mask_is_the_file_that_predict_writes(call, tmp_path, orientation):
    """A picture that lies on its side, too."""
    network = telling_network()
    save_model(network, tmp_path / "net.safetensors")
    image = Image.fromarray(waves(45, 70))
    exif = image.getexif()
    exif[274] = orientation
    image.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    out = tmp_path / "out"
    assert call("predict", tmp_path / "net.safetensors", tmp_path / "photo.jpg", "--output", out).code == 0
    content = (tmp_path / "photo.jpg").read_bytes()
    told = post(application(network), "/predict", content).json()
    assert mask_of(told) == (out / "photo.png").read_bytes()
    assert (told["width"], told["height"]) == ((70, 45) if orientation == 1 else (45, 70))
    raw = ask(
        application(network), "POST", "/predict?format=png", content=content,
        headers={"Content-Type": "image/jpeg"},
    )  # fmt: skip
    assert raw.content == mask_of(told) and raw.headers["content-type"] == "image/png"


def test_tiles_are_those_of_predict(call, tmp_path):
    network = telling_network()
    save_model(network, tmp_path / "net.safetensors")
    Image.fromarray(waves(150, 300)).save(tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    for shares in (False, True):
        out = tmp_path / str(shares)
        flags = ["--share_dictionary"] if shares else []
        call(
            "predict", tmp_path / "net.safetensors", tmp_path / "photo.png", "--tile=128", "--output", out,
            *flags,
        )  # fmt: skip
        address = f"/predict?tile=128&share_dictionary={str(shares).lower()}"
        told = post(application(network), address, content).json()
        assert mask_of(told) == (out / "photo.png").read_bytes()
        assert told["tiles"] == 8
    assert (tmp_path / "True" / "photo.png").read_bytes() != (tmp_path / "False" / "photo.png").read_bytes()


def test_the_side_of_tiles_has_a_default_which_a_request_may_drop():
    network, pixels = telling_network(), waves(40, 300)
    app = application(network, tile=128)
    told = post(app, "/predict", encoded(pixels)).json()
    tiled = predict_tiles(network, torch.from_numpy(pixels).movedim(2, 0), Tiling(tile=128))
    assert told["tiles"] == tiled.tiles == 4
    assert np.array_equal(opened(mask_of(told)), tiled.labels.numpy())
    told = post(app, "/predict?tile=0", encoded(pixels)).json()
    assert told["tiles"] == 1
    assert np.array_equal(opened(mask_of(told)), expected(network, pixels))


@pytest.mark.parametrize("address", ["/predict", "/predict?tile=auto"])
def test_large_pictures_are_cut_as_predict_cuts_them(call, tmp_path, monkeypatch, address):
    for module in ("serve.questions", "commands.predict"):
        monkeypatch.setattr(f"subquad.tasks.segmentation.{module}.WHOLE_PIXELS", 1000)
    network = telling_network()
    save_model(network, tmp_path / "net.safetensors")
    Image.fromarray(waves(60, 700)).save(tmp_path / "photo.jpg")
    out = tmp_path / "out"
    assert call("predict", tmp_path / "net.safetensors", tmp_path / "photo.jpg", "--output", out).code == 0
    told = post(application(network), address, (tmp_path / "photo.jpg").read_bytes()).json()
    assert told["tiles"] > 1 and mask_of(told) == (out / "photo.png").read_bytes()


def test_large_pictures_are_left_whole_if_that_is_asked_for(monkeypatch):
    monkeypatch.setattr("subquad.tasks.segmentation.serve.questions.WHOLE_PIXELS", 40 * 64)
    app = application()
    content = encoded(waves(41, 1100))
    assert post(app, "/predict?tile=0", content).json()["tiles"] == 1
    assert post(app, "/predict", content).json()["tiles"] > 1
    assert post(app, "/predict", encoded(waves(40, 64))).json()["tiles"] == 1
    told = sentence(post(app, "/predict?tile=auto&share_dictionary=true", content), 422)
    assert "give `tile` too" in told


def test_areas_of_all_classes():
    network, pixels = telling_network(), waves(40, 64)
    told = post(application(network), "/predict", encoded(pixels)).json()
    labels = expected(network, pixels)
    assert [one["pixels"] for one in told["classes"]] == np.bincount(labels.ravel(), minlength=3).tolist()
    assert sum(one["share"] for one in told["classes"]) == pytest.approx(1)
    assert [(one["name"], one["color"]) for one in told["classes"]] == [
        ("sky", "#0a141e"), ("sea", "#c80064"), ("sand", "#0a141e"),
    ]  # fmt: skip
    assert len(np.unique(labels)) > 1
    assert (told["name"], told["steps"], told["tiles"]) == ("0.png", 7, 1) and told["seconds"] > 0


def test_the_picture_comes_back_if_it_is_asked_for():
    """Browsers show no TIFF."""
    pixels = waves(20, 30)
    told = post(application(), "/predict?picture=true", encoded(pixels, "TIFF")).json()
    assert np.array_equal(opened(base64.b64decode(told["picture"])), pixels)


def test_several_pictures_are_a_list_with_an_error_each():
    network = telling_network()
    pictures = [waves(40, 64), waves(33, 57, 1)]
    answer = post(application(network), "/predict", encoded(pictures[0]), b"no picture", encoded(pictures[1]))
    assert answer.status_code == 200
    first, broken, second = answer.json()
    for told, pixels in ((first, pictures[0]), (second, pictures[1])):
        assert np.array_equal(opened(mask_of(told)), expected(network, pixels))
    assert broken == {
        "name": "1.png",
        "error": "image 1.png cannot be decoded (it is no picture; PNG, JPEG, BMP and TIFF are read); "
        "copy it again or remove it.",
    }


@pytest.mark.parametrize("accept", ["image/png", "image/png,*/*"])
def test_a_png_for_who_accepts_one(accept):
    answer = post(application(), "/predict", encoded(waves(20, 30)), headers={"Accept": accept})
    assert opened(answer.content).size == (30, 20)
    answer = post(application(), "/predict?format=json", encoded(waves(20, 30)), headers={"Accept": accept})
    assert answer.json()["width"] == 30


def test_steps_of_one_request_are_not_those_of_another():
    """Sixteen at once, each with its own number of steps or none."""
    network, pixels = telling_network(), waves(64, 96)
    kinds = [None, 1, 2, 5]
    app = application(network)

    async def all_at_once():
        async with client(app) as asker:
            addresses = [f"/predict?steps={k}" if k else "/predict" for k in kinds * 4]
            return await asyncio.gather(
                *(asker.post(address, files=images(encoded(pixels))) for address in addresses)
            )

    answers = asyncio.run(all_at_once())
    right = {k: expected(network, pixels, k or 7) for k in kinds}
    assert not np.array_equal(right[1], right[None]), "steps must matter"
    for answer, k in zip(answers, kinds * 4, strict=True):
        assert answer.json()["steps"] == (k or 7)
        assert np.array_equal(opened(mask_of(answer.json())), right[k])


def test_health_is_told_while_a_picture_is_at_work(monkeypatch):
    """Twenty at once, and the event loop still answers."""
    app, pixels = application(), waves(200, 300)
    seen = []

    async def asking():
        async with client(app) as asker:
            work = [
                asyncio.create_task(asker.post("/predict", files=images(encoded(pixels)))) for _ in range(20)
            ]
            while not all(task.done() for task in work):
                told = (await asker.get("/health")).json()
                assert told["status"] == "ok"
                seen.append(told["requests"])
                await asyncio.sleep(0.01)
            return [task.result().status_code for task in work]

    assert asyncio.run(asking()) == [200] * 20
    assert max(seen) > 5 and seen[-1] < 20


@pytest.mark.parametrize("path", ["/predict?picture=true", "/explain?x=1&y=1"])
def test_answers_are_made_beside_the_event_loop(monkeypatch, path):
    """PNG, base64 and JSON of a large picture take seconds, in which the server would be deaf."""
    threads = set()
    for name in ("encoded", "_base64", "in_bytes"):
        made = getattr(answers, name)

        def watched(*given, made=made):
            threads.add(threading.current_thread().name.partition("_")[0])
            return made(*given)

        monkeypatch.setattr(answers, name, watched)
    assert post(application(), path, encoded(waves(40, 64))).status_code == 200
    assert threads == {"inference"}


def test_a_request_is_answered_whole_before_the_next():
    """Else all that wait would hold what has been answered of their pictures."""
    network, sizes = telling_network(), []
    network.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[3]))
    app = application(network)

    async def all_at_once():
        async with client(app) as asker:
            asked = (images(*[encoded(waves(32, side))] * 3) for side in (32, 64, 96))
            return await asyncio.gather(*(asker.post("/predict", files=files) for files in asked))

    assert all(len(answer.json()) == 3 for answer in asyncio.run(all_at_once()))
    assert len(sizes) == 9 and all(len(set(sizes[at : at + 3])) == 1 for at in (0, 3, 6))


def test_what_is_served():
    told = ask(application(tile=256), "GET", "/model").json()
    assert (told["name"], told["network"], told["context"]) == ("net", "LightHam", "hamburger")
    assert (told["channels"], told["rank"], told["steps"], told["tile"]) == (3, 4, 7, 256)
    assert told["palette"] == [[10, 20, 30], [200, 0, 100], [10, 20, 30]]
    assert [one["name"] for one in told["classes"]] == ["sky", "sea", "sand"]
    assert "# net" in told["card"] and "| 1 | sea |" in told["card"]
    assert told["limits"]["pixels"] == 2**25
    plain = ask(application(telling_network(context="attention")), "GET", "/model").json()
    assert (plain["context"], plain["steps"], plain["rank"]) == ("attention", None, None)


def test_a_network_without_names_and_colours():
    network = telling_network(class_names=(), palette=())
    told = ask(application(network), "GET", "/model").json()
    assert [one["name"] for one in told["classes"]] == ["class_0", "class_1", "class_2"]
    assert len({one["color"] for one in told["classes"]}) == 3


def test_the_page_and_its_files_are_in_the_package():
    app, starts = application(), {"html": "<!doctype html>", "css": ":root", "js": "//", "svg": "<svg"}
    for path, (name, _) in ASSETS.items():
        start = starts[name.rpartition(".")[2]]
        answer = ask(app, "GET", path)
        assert answer.status_code == 200 and answer.text.startswith(start), path
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "") and "https://" not in (
            answer.text
        ), "nothing comes from elsewhere"


def test_json_holds_no_number_that_json_has_not():
    told = post(application(), "/predict", encoded(waves(1, 1))).text
    json.loads(told, parse_constant=pytest.fail)
    assert HERE not in told
