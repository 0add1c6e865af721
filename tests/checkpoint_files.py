"""A tiny network whose file tests may spoil, and how to change what such a file says."""

import json
import struct

from subquad import create_model, save_model

TINY = {"vocab_size": 5, "length": 8, "dim": 4, "hidden": 3, "depth": 1, "num_classes": 2}


def tiny(**options):
    return create_model("paramixer_text", **TINY | options).eval()


def saved(path, **options):
    save_model(tiny(**options), path)
    return path


def header_and_data(path):
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_header(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def with_text(path, text):
    """Replace the text of the configuration in a checkpoint."""
    header, data = header_and_data(path)
    header["__metadata__"]["subquad"] = text
    return write_header(path, header, data)


def content_of(path):
    return json.loads(header_and_data(path)[0]["__metadata__"]["subquad"])


def with_options(path, **options):
    """Replace options of the configuration in a checkpoint."""
    content = content_of(path)
    content["config"] |= options
    return with_text(path, json.dumps(content))
