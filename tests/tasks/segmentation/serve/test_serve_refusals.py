"""What the server does not answer: one sentence each, soon, and without the memory that it asks for."""

import asyncio
import time
import tracemalloc

import pytest

from serving import (
    application,
    ask,
    blank_png,
    client,
    encoded,
    images,
    post,
    sentence,
    telling_network,
    waves,
)
from subquad.tasks.segmentation.serve.limits import pixels_at_once

PICTURE = encoded(waves(20, 30))


def test_a_broken_picture():
    app = application()
    broken = encoded(waves(300, 300))[:-5000]
    assert "cannot be decoded" in sentence(post(app, "/predict", broken), 400)
    assert "it is WebP" in sentence(post(app, "/predict", encoded(waves(9, 9), "WEBP")), 400)
    assert "it is empty" in sentence(post(app, "/predict", b""), 400)


def test_a_picture_of_200_megapixels_is_refused_by_its_header():
    content = blank_png(20_000, 10_000)
    assert len(content) < 200_000
    app = application()
    tracemalloc.start()
    begun = time.process_time()
    try:
        for address in ("/predict", "/predict?tile=1024", "/explain?x=1&y=1"):
            told = sentence(post(app, address, content), 413)
            assert "200,000,000 pixels" in told and "33,554,432" in told and "--max_pixels 200000000" in told
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 2


def test_more_bytes_than_are_taken():
    app = application(max_bytes=10_000)
    told = sentence(post(app, "/predict", bytes(20_000)), 413)
    assert "10,000 bytes" in told and "--max_bytes" in told

    sent = []

    async def endless():
        for _ in range(1000):
            sent.append(1)
            yield bytes(1000)

    async def endless_form():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        async for chunk in endless():
            yield chunk

    for kind, body in (("image/png", endless()), ("multipart/form-data; boundary=x", endless_form())):
        sent.clear()
        sentence(ask(app, "POST", "/predict", content=body, headers={"Content-Type": kind}), 413)
        assert len(sent) < 15, "it is not read on, though its length was not told"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json", ""])
def test_a_body_of_another_kind(kind):
    headers = {"Content-Type": kind} if kind else {}
    told = sentence(ask(application(), "POST", "/predict", content=PICTURE, headers=headers), 415)
    assert "curl -F image=@picture.png" in told


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("steps=0", "from 1 to 32, got '0'"),
        ("steps=33", "from 1 to 32"),
        ("steps=three", "got 'three'"),
        ("steps=" + "9" * 5000, "got '9999"),
        ("tile=100", "take 128"),
        ("tile=-1", "`tile` must be"),
        ("share_dictionary=true", "give `tile` too"),
        ("tile=128&share_dictionary=yes", "must be false or true, got 'yes'"),
        ("format=gif", "must be json or png"),
        ("picture=1", "must be false or true"),
        ("setps=3", "Did you mean 'steps'?"),
    ],
)
def test_parameters_that_do_not_fit(address, said):
    app = application()
    assert said in sentence(post(app, f"/predict?{address}", PICTURE), 422)
    name, _, value = address.partition("=")
    if "&" not in value:  # in the form they mean the same
        assert said in sentence(ask(app, "POST", "/predict", files=images(PICTURE), data={name: value}), 422)


def test_answers_have_an_end():
    """And a remedy that fits: a picture of a few KB is a PNG of megabytes when it is sent back."""
    app, several = application(max_answer=1500), [PICTURE] * 3
    told = sentence(post(app, "/predict", *several), 413)
    assert "more than 1,500 bytes" in told and "send fewer pictures at once" in told
    assert post(app, "/predict", PICTURE).status_code == 200
    assert "leave `picture` out" in sentence(post(app, "/predict?picture=true", PICTURE), 413)
    told = sentence(post(application(), "/predict?picture=true", *several), 422)
    assert "`picture` sends one picture back" in told and told.endswith("got 3.")
    tiny = application(max_answer=9)
    assert "ask for format=png" in sentence(post(tiny, "/predict", PICTURE), 413)
    assert post(tiny, "/predict?format=png", PICTURE).status_code == 200


def test_forms_that_hold_no_picture():
    app = application(max_pictures=2)
    assert "no part `image`" in sentence(ask(app, "POST", "/predict", files={"x": (None, "1")}), 422)
    told = sentence(ask(app, "POST", "/predict", files={"file": ("a.png", PICTURE)}), 422)
    assert "part 'file'" in told and "call each part `image`" in told
    assert "at most 2 pictures" in sentence(post(app, "/predict", PICTURE, PICTURE, PICTURE), 413)
    for kind, content in (("multipart/form-data", b"abc"), ("multipart/form-data; boundary=x", b"abc")):
        answer = ask(app, "POST", "/predict", content=content, headers={"Content-Type": kind})
        assert "the form cannot be read" in sentence(answer, 400)
    assert "of one picture" in sentence(post(app, "/predict?format=png", PICTURE, PICTURE), 422)
    empty = ask(app, "POST", "/predict", content=b"", headers={"Content-Type": "image/png"})
    assert "the body is empty" in sentence(empty, 400)


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\photos\\passwd", "/etc/passwd", "\u202epasswd"])
def test_names_of_files_lead_nowhere(name):
    answer = ask(application(), "POST", "/predict", files={"image": (name, b"x")})
    assert sentence(answer, 400).startswith("image passwd cannot be decoded")


@pytest.mark.parametrize(
    "path",
    ["/page/index.html", "/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/static/page.js"],
)
def test_there_is_nothing_else(path):
    assert "there is nothing here" in sentence(ask(application(), "GET", path), 404)


def test_another_method():
    assert "not asked that way" in sentence(ask(application(), "GET", "/predict"), 405)


def test_requests_beyond_those_that_are_taken_are_told_when_to_come_again():
    app = application(requests=3)

    async def all_at_once():
        async with client(app) as asker:
            return await asyncio.gather(
                *(asker.post("/predict", files=images(encoded(waves(64, 96)))) for _ in range(12))
            )

    answers = asyncio.run(all_at_once())
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 1 <= len(refused) <= 9 and len(answers) - len(refused) >= 3
    for answer in refused:
        assert "try again in" in sentence(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    assert post(app, "/predict", PICTURE).status_code == 200, "the places are free again"


def test_who_sends_too_slowly_gives_the_place_back():
    app = application(seconds=0.05, requests=1)

    async def slow():
        yield PICTURE[:10]
        await asyncio.sleep(5)
        yield PICTURE[10:]

    answer = ask(app, "POST", "/predict", content=slow(), headers={"Content-Type": "image/png"})
    assert "did not come within 0.05 s" in sentence(answer, 408)
    assert post(app, "/predict", PICTURE).status_code == 200


def test_nothing_is_computed_for_who_has_gone():
    network, runs = telling_network(), []
    network.register_forward_hook(lambda *_: runs.append(1))
    app = application(network)
    messages = [{"type": "http.request", "body": PICTURE, "more_body": False}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0) if messages[1:] else messages[0]

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/predict", "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"image/png")],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 499 and not runs


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_said_with_what_helps(error):
    network = telling_network()
    network.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(error))
    app = application(network)
    assert "ask for tiles, such as tile=512" in sentence(post(app, "/predict", PICTURE), 413)
    assert "ask for tiles" in sentence(post(app, "/explain?x=1&y=1", PICTURE), 413)


def test_an_error_of_the_server_tells_nothing_of_it(caplog):
    network = telling_network()
    network.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyError("/tmp/secret")))
    app = application(network)
    answer = post(app, "/predict?steps=2", PICTURE)
    assert "something went wrong" in sentence(answer, 500)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert network.head.hamburger.ham.eval_steps == 7


def test_a_picture_at_once_is_limited_by_what_it_takes(monkeypatch):
    """No process survives what the kernel ends, so it is not tried; tiles take little."""
    monkeypatch.setattr("subquad.tasks.segmentation.serve.limits.AT_ONCE_BYTES", 360 * 3000)
    app, content = application(), encoded(waves(20, 151))
    for address in ("/predict?tile=0", "/explain?x=1&y=1&tile=0"):
        told = sentence(post(app, address, content), 413)
        assert "3,020 pixels" in told and "may see 3,000; ask for tiles, such as tile=512" in told
    assert post(app, "/predict?tile=128", content).status_code == 200
    assert post(app, "/predict?tile=0", encoded(waves(20, 150))).status_code == 200
    reduced = application(telling_network(resize=(32, 32)))
    assert post(reduced, "/predict", content).status_code == 200, "it takes less"
    assert "ask for tiles" in sentence(post(reduced, "/predict", encoded(waves(100, 180))), 413)


def test_what_a_picture_at_once_takes():
    assert pixels_at_once(3, False) == pixels_at_once(60, False) == 2**32 // 360
    assert pixels_at_once(3, True) > 2**25 and pixels_at_once(150, True) < 2**23
