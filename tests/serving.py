"""A server in this process, and pictures to send to it."""

import asyncio
import io
import struct
import zlib

import httpx
import numpy as np
import torch
from PIL import Image

from picture_bytes import chunk
from subquad import create_model
from subquad.tasks.segmentation.serve.app import make_app
from subquad.tasks.segmentation.serve.inference import Inference
from subquad.tasks.segmentation.serve.limits import Limits

HERE = "http://127.0.0.1:8000"
NAMES = ("localhost", "127.0.0.1", "[::1]")


def telling_network(**overrides):
    """A network of random weights that finds several classes, and more of one kind with more steps."""
    torch.manual_seed(0)
    options = {
        "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3,
        "class_names": ("sky", "sea", "sand"), "palette": ((10, 20, 30), (200, 0, 100), (10, 20, 30)),
    }  # fmt: skip
    network = create_model("light_ham_van_tiny_d256", **options | overrides)
    torch.nn.init.normal_(network.head.classifier.weight)
    return network.eval()


def waves(height, width, phase=0.0):
    """A smooth picture, (height, width, 3)."""
    row, column = np.mgrid[0:height, 0:width] / 10
    return (127 + 60 * np.stack([np.sin(row + k + phase) + np.cos(column * k) for k in (1, 2, 3)], 2)).astype(
        np.uint8
    )


def encoded(pixels, kind="PNG", **options):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def opened(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def blank_png(width, height):
    """A PNG of one bit a pixel, all of them 0: 200 megapixels have 24 KB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    rows = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def application(network=None, *, tile=None, names=NAMES, **limits):
    """The server of a network."""
    limits = Limits(**limits)
    return make_app(
        Inference(network or telling_network(), limits.max_pixels), "net", limits, tile=tile, names=names
    )


def images(*contents):
    """Parts of a form, one a picture."""
    return [("image", (f"{number}.png", content)) for number, content in enumerate(contents)]


def client(app):
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=HERE, timeout=60)


def ask(app, method, path, **options):
    """Ask once; returns the answer."""

    async def asking():
        async with client(app) as asker:
            return await asker.request(method, path, **options)

    return asyncio.run(asking())


def post(app, path, *contents, **options):
    """Send pictures as a form."""
    return ask(app, "POST", path, files=images(*contents), **options)


def sentence(answer, status):
    """Return the error of an answer, which must be one sentence."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    (told,) = answer.json().values()
    assert answer.json().keys() == {"error"} and told.endswith(".") and "\n" not in told
    assert "/tmp" not in told and "site-packages" not in told
    return told
