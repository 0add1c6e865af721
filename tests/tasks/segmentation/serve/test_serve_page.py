"""The page in a browser: what its user does, and sees."""

import re
import shutil
import socket
import threading
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from serving import application, blank_png, images, opened, telling_network, waves
from subquad.tasks.segmentation.serve.inference import Inference

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
HEIGHT, WIDTH = 90, 140


@contextmanager
def running(app):
    """Run a server in a thread; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def server():
    network = telling_network(class_names=("sky", "sea", "<b>sand</b>"), palette=((10, 20, 30),) * 3)
    with running(application(network, max_bytes=300_000)) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as made:
        flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        running = made.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


@pytest.fixture
def page(browser, server):
    """The page, which may neither complain to its console nor ask elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: asked.url.startswith((server, "blob:")) or wrong.append(asked.url))
    page.goto(server)
    page.wait_for_selector("#facts:not(:empty)")
    yield page
    context.close()
    assert not [said for said in wrong if "the server responded with a status of 4" not in said]


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(waves(HEIGHT, WIDTH)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def until(page, condition):
    """Wait for a condition; the policy of the page forbids to evaluate a text that is no function."""
    page.wait_for_function(f"() => {condition}")


def show(page, path):
    page.set_input_files("#file", path)
    page.wait_for_selector("#view:not([hidden])")
    until(page, "document.getElementById('caption').textContent.includes('pixels')")


def at_pixel(page, x, y):
    box = page.locator("#frame").bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / WIDTH, box["y"] + (y + 0.5) * box["height"] / HEIGHT


def post(server, path, content):
    """Ask the server as a program does."""
    return httpx.post(f"{server}{path}", files=images(content), timeout=30)


def labels_of(server, path):
    answer = post(server, "/predict?format=png", path.read_bytes())
    return answer.content, np.asarray(opened(answer.content))


def test_a_picture_is_dropped_and_its_areas_add_up(page, server, photo):
    content = list(photo.read_bytes())
    page.evaluate(
        """content => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(content)], "photo.png", { type: "image/png" }));
            document.getElementById("drop").dispatchEvent(
                new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: files }));
        }""",
        content,
    )
    page.wait_for_selector("#view:not([hidden])")
    page.wait_for_selector("#legend tfoot td")
    _, labels = labels_of(server, photo)
    rows = [row.split("\t") for row in page.locator("#legend tbody").inner_text().splitlines()]
    counted = {name.strip(): int(pixels.replace(",", "")) for name, _, pixels in rows}
    names = ["sky", "sea", "<b>sand</b>"]  # a name is a text, whatever it holds
    assert counted == {names[k]: n for k, n in enumerate(np.bincount(labels.ravel())) if n}
    assert len(counted) > 1
    assert page.locator("#legend tfoot").inner_text().split("\t")[1:] == ["100.0 %", f"{HEIGHT * WIDTH:,}"]
    assert page.locator("#problem").is_hidden()


def test_hover_says_the_class_though_all_have_one_colour(page, server, photo):
    show(page, photo)
    _, labels = labels_of(server, photo)
    names = ["sky", "sea", "<b>sand</b>"]
    for y, x in ((5, 5), (80, 130), (44, 70), *np.argwhere(labels == labels.max())[:1]):
        page.mouse.move(*at_pixel(page, x, y))
        assert page.locator("#tip").inner_text() == names[labels[y, x]]
        assert names[labels[y, x]] in page.locator("#legend tr.here").inner_text()


def test_a_click_shows_columns_and_context(page, server, photo):
    show(page, photo)
    assert page.locator("#found").is_hidden()
    page.mouse.click(*at_pixel(page, 100, 20))
    page.wait_for_selector("#found:not([hidden])")
    page.wait_for_selector("#frame.heated")
    told = post(server, "/explain?x=100&y=20", photo.read_bytes()).json()
    assert page.locator("#at").inner_text().startswith("Pixel 100, 20: ")
    entries = page.locator("#columns button").all_inner_texts()
    assert entries[0].startswith("Context") and len(entries) == 5
    for entry, one in zip(entries[1:], told["columns"], strict=True):
        assert f"Column {one['column']}" in entry and f"{100 * one['share']:.1f} %" in entry
    heat = "() => document.getElementById('heat').toDataURL()"
    context = page.evaluate(heat)
    page.locator("#columns button").nth(1).click()
    page.wait_for_function(f"before => ({heat})() !== before", arg=context)
    assert page.locator("#columns button").nth(1).get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Show the classes").click()
    assert page.locator("#frame.heated").count() == 0


def test_the_keyboard_does_what_the_mouse_does(page, photo):
    show(page, photo)
    page.locator("#frame").focus()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#frame.heated")
    assert page.locator("#at").inner_text().startswith(f"Pixel {WIDTH // 2 - 2}, {HEIGHT // 2 - 1}: ")
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()


def test_the_slider_of_steps_says_what_it_changes(page, server, photo):
    show(page, photo)
    slider = page.get_by_label("Iterations K")
    assert (slider.get_attribute("min"), slider.get_attribute("max"), slider.input_value()) == ("1", "8", "7")
    slider.fill("1")
    until(page, "document.getElementById('effect').textContent.includes('differ from K = 7')")
    _, own = labels_of(server, photo)
    one = np.asarray(opened(post(server, "/predict?format=png&steps=1", photo.read_bytes()).content))
    share = 100 * (one != own).mean()
    assert share > 0
    assert f"{share:.1f} % of the pixels differ" in page.locator("#effect").inner_text()
    assert re.match(r"K = 1: \d", page.locator("#effect").inner_text())


def test_opacity(page, photo):
    show(page, photo)
    page.get_by_label("Opacity").fill("20")
    opacity = page.evaluate("getComputedStyle(document.getElementById('mask')).opacity")
    assert float(opacity) == pytest.approx(0.2)
    assert page.locator("#opacity_value").inner_text() == "20 %"


@pytest.mark.slow
def test_tiles(page, tmp_path):
    Image.fromarray(waves(600, 700)).save(tmp_path / "large.jpg")
    show(page, tmp_path / "large.jpg")
    assert "tiles" not in page.locator("#caption").inner_text()
    page.get_by_label("It is seen").select_option("512")
    until(page, "document.getElementById('caption').textContent.includes('4 tiles')")
    page.locator("#frame").click()
    page.wait_for_selector("#frame.heated")


def test_the_mask_that_is_saved_is_that_of_predict(page, server, photo):
    show(page, photo)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save mask").click()
    assert saving.value.suggested_filename == "photo.png"
    content, _ = labels_of(server, photo)
    with open(saving.value.path(), "rb") as file:
        assert file.read() == content
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save overlay").click()
    assert saving.value.suggested_filename == "photo_overlay.png"
    with Image.open(saving.value.path()) as overlay:
        mixed = np.asarray(overlay.convert("RGB")).astype(float)
    expected = 0.45 * waves(HEIGHT, WIDTH) + 0.55 * np.array([10, 20, 30])
    assert abs(mixed - expected).max() < 3


@pytest.mark.parametrize("name", ["photo.tif", "photo.webp"])
def test_pictures_that_only_one_of_the_two_can_read(page, tmp_path, name):
    """TIFF is for the server, WebP for the browser."""
    Image.fromarray(waves(HEIGHT, WIDTH)).save(tmp_path / name, lossless=True)
    show(page, tmp_path / name)
    seen = page.evaluate(
        "() => [...document.getElementById('photo').getContext('2d').getImageData(3, 4, 1, 1).data]"
    )
    assert seen[:3] == waves(HEIGHT, WIDTH)[4, 3].tolist()


def test_what_the_browser_decodes_is_not_made_png_if_the_server_would_refuse_it(page, server, tmp_path):
    def lowered(route):
        told = route.fetch().json()
        route.fulfill(json=told | {"limits": told["limits"] | {"pixels": 99}})

    page.route(f"{server}/model", lowered)
    page.reload(wait_until="networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "predict" in request.url else None)
    Image.fromarray(waves(10, 10)).save(tmp_path / "photo.webp")
    page.set_input_files("#file", tmp_path / "photo.webp")
    until(page, "document.getElementById('problem').textContent.includes('photo.webp has 100 pixels')")
    assert not asked


def test_what_the_server_refuses_is_said_and_what_was_there_stays(page, photo, tmp_path):
    show(page, photo)
    files = {
        "broken.png": (photo.read_bytes()[:-400], "cannot be decoded"),
        "huge.png": (blank_png(20_000, 10_000), "200,000,000 pixels"),
        "large.bmp": (bytes(300_001), "300,001 bytes"),
        "note.txt": (b"hello", "it is no picture"),
    }
    for name, (content, said) in files.items():
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_function(
            "said => document.getElementById('problem').textContent.includes(said)", arg=said
        )
        assert page.locator("#caption").inner_text().startswith("photo.png: ")
    page.get_by_label("Iterations K").fill("2")  # it is still the photo that is asked about
    until(page, "document.getElementById('effect').textContent.startsWith('K = 2')")
    assert page.locator("#problem").is_hidden()


def test_of_two_pictures_the_later_is_shown(page, photo, tmp_path, monkeypatch):
    """The first is still being asked about when the second comes, which the server refuses or not."""
    Image.fromarray(waves(400, 500)).save(tmp_path / "first.jpg")
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:-400])
    show(page, photo)
    both, predict = threading.Event(), Inference.predict
    monkeypatch.setattr(Inference, "predict", lambda *asked: both.wait(15) and predict(*asked))
    for second, left in (("photo.png", "photo.png"), ("broken.png", "photo.png"), ("first.jpg", "first.jpg")):
        both.clear()
        page.set_input_files("#file", tmp_path / "first.jpg")
        page.set_input_files("#file", tmp_path / second)
        both.set()
        until(page, "!document.body.classList.contains('busy') && !document.getElementById('panel').inert")
        page.wait_for_timeout(100)
        assert page.locator("#caption").inner_text().startswith(f"{left}: ")
        assert page.locator("#save_mask").get_attribute("download") == f"{left[:5]}.png"
        width = page.evaluate("document.getElementById('photo').width")
        assert width == page.evaluate("document.getElementById('mask').width")
        assert page.locator("#problem").is_visible() == (second == "broken.png")


@pytest.mark.parametrize("decoding", ["the picture", "its mask"])
def test_a_picture_that_comes_while_another_is_decoded(page, photo, tmp_path, decoding):
    """What the former still does then is of no picture that is shown."""
    Image.fromarray(waves(400, 500)).save(tmp_path / "first.jpg")
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:-400])
    show(page, photo)
    page.evaluate(
        """() => {
            const decode = createImageBitmap;
            window.createImageBitmap = async (...all) => {
                window.decoded = (window.decoded ?? 0) + 1;
                await new Promise(done => setTimeout(done, 700));
                return decode(...all);
            };
        }"""
    )
    page.set_input_files("#file", tmp_path / "first.jpg")
    until(page, f"window.decoded === {1 if decoding == 'the picture' else 2}")
    page.set_input_files("#file", tmp_path / "broken.png")
    until(page, "!document.getElementById('problem').hidden")
    page.wait_for_timeout(1500)
    caption = page.locator("#caption").inner_text()
    assert caption.startswith(f"photo.png: {WIDTH} \N{MULTIPLICATION SIGN} {HEIGHT} pixels")
    assert page.evaluate("document.getElementById('photo').width") == WIDTH
    assert page.evaluate("document.getElementById('mask').width") == WIDTH


def test_the_camera(page):
    page.get_by_role("button", name="Use the camera").click()
    until(page, "document.getElementById('video').videoWidth > 0")
    page.get_by_role("button", name="Take the picture").click()
    page.wait_for_selector("#view:not([hidden])")
    until(page, "document.getElementById('caption').textContent.startsWith('camera.png: ')")
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_twenty_requests_at_once(page, photo):
    """From the page itself; all are answered, and alike."""
    show(page, photo)
    told = page.evaluate(
        """async content => {
            const one = async () => {
                const form = new FormData();
                form.append("image", new Blob([new Uint8Array(content)]), "photo.png");
                const answer = await fetch("predict", { method: "POST", body: form });
                return [answer.status, (await answer.json()).mask];
            };
            return Promise.all(Array.from({ length: 20 }, one));
        }""",
        list(photo.read_bytes()),
    )
    assert [status for status, _ in told] == [200] * 20
    assert len({mask for _, mask in told}) == 1


def test_a_page_of_another_site_is_not_answered(browser, server, photo):
    """A form that a page elsewhere sends here by itself."""
    page = browser.new_page()
    form = f'<form action="{server}/predict" method="post" enctype="multipart/form-data"></form>'
    page.route("http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto("http://evil.example/")
    with page.expect_navigation() as going:
        page.evaluate("document.forms[0].submit()")
    assert going.value.status == 403
    page.close()


@pytest.mark.parametrize("context", ["attention", "none"])
def test_a_network_without_a_dictionary(browser, photo, context):
    with running(application(telling_network(context=context))) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#facts:not(:empty)")
        show(page, photo)
        assert page.get_by_label("Iterations K").is_hidden()
        assert f"its context is “{context}”" in page.locator("#hint").inner_text()
        page.mouse.click(*at_pixel(page, 10, 10))
        assert page.locator("#problem").is_hidden() and page.locator("#found").is_hidden()
        page.close()


def test_every_control_has_a_name_and_nothing_overflows_on_a_phone(browser, server, photo):
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(server)
    page.wait_for_selector("#facts:not(:empty)")
    show(page, photo)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for control in page.locator(
        "button:visible, input:visible, select:visible, a:visible, [tabindex]:visible"
    ).all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
        )
        assert name.strip(), control.evaluate("e => e.outerHTML")
    context.close()
