"""`subquad predict` of a video: what it writes, and one sentence for what cannot be read."""

import csv
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch

from cli_helpers import contents
from serving import telling_network
from subquad import load_model, save_model
from subquad.nn import Ham
from subquad.tasks.segmentation.data.colors import index_to_color
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.video import writer
from subquad.tasks.segmentation.video.clip import opened
from subquad.tasks.segmentation.video.flicker import Flicker, difference, unmoved_pixels
from subquad.tasks.segmentation.video.following import Follower
from videos import moving, read_video, turned, write_sound, write_video

PALETTE = ((10, 20, 30), (200, 0, 100), (0, 250, 5))


@pytest.fixture
def weights(tmp_path):
    save_model(telling_network(palette=PALETTE), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def predict(call, weights, tmp_path):
    """Predict a video into a folder of its own."""

    def run(path, *options, output=tmp_path / "out"):
        return call("predict", weights, path, "--output", output, *options)

    return run


def frames_of(path):
    """What the one reader gives."""
    with opened(path, 10**6) as clip:
        return [frame.pixels for frame in clip.frames()]


def cold(network, frames):
    return [
        predict_labels(network, torch.from_numpy(frame).movedim(2, 0)[None])[0].numpy() for frame in frames
    ]


def rows_of(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_an_overlay_video_and_the_shares_of_each_frame(predict, weights, tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving(), sound=True)
    result = predict(path, "--warm_start=false", "--opacity=0.5")
    assert (result.code, result.err) == (0, "")
    out = tmp_path / "out"
    assert sorted(contents(out)) == ["clip.csv", "clip.json", "clip_overlay.mp4"]
    frames, times, said = read_video(out / "clip_overlay.mp4")
    source = frames_of(path)
    assert (len(frames), said["rate"], frames[0].shape) == (6, 10, (48, 64, 3))
    assert times == pytest.approx([k / 10 for k in range(6)]) and not said["sound"]
    labels = cold(load_model(weights), source)
    for frame, pixels, one in zip(frames, source, labels, strict=True):
        mixed = 0.5 * pixels + 0.5 * index_to_color(one, PALETTE)
        assert abs(frame - mixed).mean() < 12, "as near as its codec comes"
    first, *rows = rows_of(out / "clip.csv")
    assert first == ["frame", "seconds", "sky", "sea", "sand"]
    assert [float(row[1]) for row in rows] == pytest.approx([k / 10 for k in range(6)])
    for row, one in zip(rows, labels, strict=True):
        shares = np.bincount(one.ravel(), minlength=3) / one.size
        assert [float(cell) for cell in row[2:]] == pytest.approx(shares, abs=1e-6)
    told = json.loads((out / "clip.json").read_text())
    assert (told["frames"], told["rate"], told["height"], told["width"]) == (6, 10, 48, 64)
    assert sum(one["share"] for one in told["classes"]) == pytest.approx(1)


def test_the_flicker_with_and_without_a_warm_start(predict, weights, tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving(8))
    result = predict(path, "--compare_cold=true", "--video_steps=2")
    assert result.code == 0, result.err
    told = json.loads((tmp_path / "out" / "clip.json").read_text())["flicker"]
    frames, network = frames_of(path), load_model(weights)
    expected = Flicker()
    for number, labels in enumerate(cold(network, frames)):
        change = difference(frames[number], frames[number - 1]) if number else None
        expected.add(labels, None if change is None else unmoved_pixels(change))
    assert told["cold"] == {
        "score": expected.score, "still": expected.still, "changed": expected.changed,
    }  # fmt: skip
    assert 0 < told["warm"]["changed"] != told["cold"]["changed"]
    assert f"{100 * told['warm']['score']:.2f} % with each frame from the dictionary" in result.out
    assert f"{100 * told['cold']['score']:.2f} % with each frame for itself" in result.out
    plain = predict(path, "--overwrite")
    assert "for itself" not in plain.out and "from the dictionary of the last" in plain.out


def test_each_frame_starts_from_the_dictionary_of_the_last():
    """The second with two steps is the first's end, two steps on; the network is as it was."""
    network, frames = telling_network(), moving(3)
    ham = next(part for part in network.modules() if isinstance(part, Ham))
    seen = []
    ham.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    before = cold(network, frames)
    follower = Follower(network, warm=True, steps=2)
    found = [follower.labels(frame, 1.0 if number else None) for number, frame in enumerate(frames)]
    assert np.array_equal(found[0], before[0]), "the first starts as ever"
    dictionary = ham.factorize(seen[3]).dictionary
    for features in seen[4:]:
        ham.dictionary.copy_(torch.nn.functional.normalize(dictionary, dim=-2))
        ham.eval_steps = 2
        dictionary = ham.factorize(features).dictionary
    (carried,) = follower._carried.values()
    assert torch.equal(carried[0], dictionary)
    ham.eval_steps = 7
    ham.reset_parameters()
    assert ham.carried is None
    assert all(np.array_equal(a, b) for a, b in zip(cold(network, frames), before, strict=True))
    again = Follower(network, warm=True, steps=2)
    for number, frame in enumerate(frames):  # nothing of the last clip is in the next
        assert np.array_equal(again.labels(frame, 1.0 if number else None), found[number])


def test_another_scene_begins_anew():
    network, (one, other) = telling_network(), (moving(1)[0], 255 - moving(1)[0])
    follower = Follower(network, warm=True, steps=1)
    follower.labels(one, None)
    assert np.array_equal(
        follower.labels(other, float(difference(one, other).mean())), cold(network, [other])[0]
    )
    assert follower.cuts == 1


def test_training_does_not_start_there():
    ham = Ham(4, 2)
    carried = [torch.full((1, 4, 2), torch.nan)]
    ham.carried = carried
    assert ham.train()(torch.rand(1, 4, 5)).isfinite().all()
    assert carried[0].isnan().all()


@pytest.mark.parametrize("size", [(33, 47), (48, 47), (1, 1)])
def test_odd_sides_stay(predict, tmp_path, size):
    path = write_video(tmp_path / "clip.mp4", moving(3, *size))
    assert predict(path).code == 0
    frames, *_ = read_video(tmp_path / "out" / "clip_overlay.mp4")
    assert [frame.shape[:2] for frame in frames] == [size] * 3


def test_without_x264_it_is_mpeg4(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_is_there", lambda codec: codec != "libx264")
    assert predict(write_video(tmp_path / "clip.mp4", moving(3, 33, 47))).code == 0
    frames, _, said = read_video(tmp_path / "out" / "clip_overlay.mp4")
    assert said["codec"] == "mpeg4" and frames[0].shape == (33, 47, 3)


def test_frames_keep_their_times(predict, tmp_path):
    path = write_video(tmp_path / "clip.mkv", moving(5), times=[0, 10, 15, 80, 200])
    assert predict(path).code == 0
    _, times, *_ = read_video(tmp_path / "out" / "clip_overlay.mp4")
    assert times == pytest.approx([0, 0.1, 0.15, 0.8, 2], abs=0.002)
    assert [float(row[1]) for row in rows_of(tmp_path / "out" / "clip.csv")[1:]] == pytest.approx(
        times, abs=0.002
    )


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_video_is_turned_as_it_is_shown(predict, tmp_path, quarters):
    frames = moving(2, noise=0)
    upright = frames_of(write_video(tmp_path / "clip.mp4", frames))
    found = frames_of(turned(tmp_path / "clip.mp4", quarters))
    for one, other in zip(found, upright, strict=True):
        assert np.array_equal(one, np.rot90(other, -quarters)), "to the right"
    assert predict(tmp_path / "clip.mp4").code == 0
    (first, _), *_ = read_video(tmp_path / "out" / "clip_overlay.mp4")
    assert first.shape == ((64, 48, 3) if quarters % 2 else (48, 64, 3))


def test_pixels_that_are_no_squares(predict, tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving(2), aspect=Fraction(4, 3))
    assert predict(path).code == 0
    *_, said = read_video(tmp_path / "out" / "clip_overlay.mp4")
    assert said["aspect"] == Fraction(4, 3)


def test_videos_that_break_off(complains, weights, tmp_path):
    path = write_video(tmp_path / "clip.avi", moving(60, noise=20), codec="mpeg4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    out = tmp_path / "out"
    told = complains("predict", weights, path, "--output", out, quoting=[str(path), "breaks off after"])
    frames, *_ = read_video(out / "clip_overlay.mp4")
    assert f"after {len(frames)} frames" in told and 10 < len(frames) < 50
    assert len(rows_of(out / "clip.csv")) == 1 + len(frames)


def test_videos_that_end_too_early_and_do_not_know_it(predict, tmp_path):
    """Matroska tells how long it is, and not of how many frames: sound may go on, so it is no error."""
    path = write_video(tmp_path / "clip.mkv", moving(60, noise=20))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    result = predict(path)
    assert result.code == 0
    seconds = rows_of(tmp_path / "out" / "clip.csv")[-1][1]
    assert result.err == f"note: {path} should last 6.0 s, but its frames end at {float(seconds):.1f} s.\n"


def test_what_is_no_video(complains, weights, tmp_path):
    out = tmp_path / "out"

    def refused(name, content, *said):
        (tmp_path / name).write_bytes(content)
        complains("predict", weights, tmp_path / name, "--output", out, quoting=[str(tmp_path / name), *said])

    whole = write_video(tmp_path / "whole.mp4", moving()).read_bytes()
    refused("half.mp4", whole[: len(whole) // 2], "cannot be read as a video")
    refused("text.mp4", b"hello" * 100, "cannot be read as a video")
    refused("empty.mp4", b"", "cannot be read as a video")
    refused("sound.mp4", write_sound(tmp_path / "only.mp4").read_bytes(), "holds no video, only sound")
    complains("predict", weights, tmp_path / "no.mp4", "--output", out, quoting="no.mp4")
    complains(
        "predict", weights, tmp_path / "whole.mp4", "--output", out, "--max_pixels=99",
        quoting=["48 x 64", "--max_pixels 3072"],
    )  # fmt: skip
    assert not list(out.glob("*")), "nothing is left of what was not made"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
    ],
)
def test_no_other_file_is_opened_that_a_file_names(complains, weights, tmp_path, text):
    other = write_video(tmp_path / "whole.mp4", moving())
    (tmp_path / "list.mp4").write_text(text.format(other.name))
    complains(
        "predict", weights, tmp_path / "list.mp4", "--output", tmp_path / "out",
        quoting=[str(tmp_path / "list.mp4"), "cannot be read as a video"],
    )  # fmt: skip


def test_a_video_without_a_frame(complains, weights, tmp_path):
    with opened(write_video(tmp_path / "clip.mp4", moving(1)), 10**6) as clip:
        clip._container = type("Nothing", (), {"decode": lambda *_: iter(())})()
        with pytest.raises(ValueError, match=r"clip.mp4 holds no frame that can be read"):
            list(clip.frames())


def test_frames_of_several_sizes(tmp_path):
    path, other = (
        write_video(tmp_path / f"{number}.mp4", moving(2, 48, width)) for number, width in enumerate((64, 32))
    )
    with opened(path, 10**6) as clip, opened(other, 10**6) as second:
        frames = [*clip._container.decode(clip._stream), *second._container.decode(second._stream)]
        clip._container = type("Both", (), {"decode": lambda *_: iter(frames)})()
        with pytest.raises(ValueError, match=r"frame 2 of .* is 48 x 32 .* cut the video there"):
            list(clip.frames())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tile=128"], "--tile is of pictures"),
        (["--protocol=voc_test"], "--protocol is of pictures"),
        (["--submission=voc"], "--submission is of pictures"),
        (["--video_steps=0"], "--video_steps must be at least 1, got 0"),
        (["--warm_start=false", "--video_steps=2"], "leave --warm_start false out"),
        (["--warm_start=false", "--compare_cold=true"], "leave --warm_start false out"),
    ],
)
def test_options_that_do_not_fit(complains, weights, tmp_path, options, said):
    path = write_video(tmp_path / "clip.mp4", moving(1))
    complains("predict", weights, path, "--output", tmp_path / "out", *options, quoting=said)
    if "--video_steps=2" in options:
        complains("predict", weights, tmp_path / "a.png", *options, quoting="are of videos")


def test_a_network_without_a_dictionary(call, complains, tmp_path):
    save_model(telling_network(context="attention"), tmp_path / "plain.safetensors")
    path = write_video(tmp_path / "clip.mp4", moving(3))
    arguments = ["predict", tmp_path / "plain.safetensors", path, "--output", tmp_path / "out"]
    assert "with each frame for itself" in call(*arguments, "--compare_cold=true").out
    complains(*arguments, "--overwrite", "--video_steps=2", quoting="leave --video_steps out")


def test_a_network_of_other_channels(complains, tmp_path):
    save_model(telling_network(in_channels=4), tmp_path / "four.safetensors")
    path = write_video(tmp_path / "clip.mp4", moving(1))
    complains("predict", tmp_path / "four.safetensors", path, quoting="sees 4 channels, and frames have 3")


def test_nothing_is_replaced_unasked(complains, predict, weights, tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving(2))
    assert predict(path).code == 0
    before = contents(tmp_path / "out")
    complains("predict", weights, path, "--output", tmp_path / "out", quoting="--overwrite")
    assert contents(tmp_path / "out") == before
    assert predict(path, "--overwrite").code == 0


def test_what_is_not_installed_is_said_with_the_remedy(complains, weights, tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", moving(1))
    monkeypatch.setitem(sys.modules, "av", None)
    complains("predict", weights, path, "--output", tmp_path / "out", quoting="pip install 'subquad[video]'")


def test_a_full_disk(complains, weights, tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", moving(2))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.VideoWriter, "add", full)
    out = tmp_path / "out"
    complains(
        "predict", weights, path, "--output", out, quoting=["No space left", str(out / "clip_overlay.mp4")]
    )
    assert not list(out.iterdir())


def test_flicker_counts_still_pixels_alone():
    flicker = Flicker()
    one, other = np.zeros((2, 4), np.uint8), np.ones((2, 4), np.uint8)
    unmoved = np.array([[True, True, False, False]] * 2)
    flicker.add(one, None)
    assert flicker.said() == "n/a (no pixel is still)"
    flicker.add(other, unmoved)
    flicker.add(other, unmoved)
    assert (flicker.still, flicker.changed, flicker.score) == (8, 4, 0.5)
    change = difference(
        np.array([[[10, 0, 0], [9, 8, 8]]], np.uint8), np.array([[[1, 0, 0], [1, 0, 16]]], np.uint8)
    )
    assert unmoved_pixels(change).tolist() == [[False, True]]
