"""`subquad serve`: what it says first, how it ends, and what it refuses."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image

from nightly import some_by_day
from serving import ask, encoded, opened, telling_network, waves
from subquad import create_model, load_model, save_model
from subquad.tasks.segmentation.commands.serve import bound, main, name_of, parser
from subquad.tasks.segmentation.serve.app import make_app

GUIDE = Path(__file__).parents[4] / "docs" / "serve.md"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "net.safetensors"
    save_model(telling_network(), path)
    return path


@contextmanager
def serving(*arguments, before=""):
    """Run the command, after some code; gives the process and the address in its first line."""
    code = f"import sys\n{before}\nfrom subquad.cli.main import run\nrun()"
    command = [sys.executable, "-W", "error", "-c", code, "serve", *map(str, arguments), "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            first = process.stdout.readline()
            assert re.match(r"http://127\.0\.0\.1:\d+ serves \w+; Ctrl-C ends it\.\n", first), (
                first or process.stderr.read()
            )
            yield process, first.split()[0]
        finally:
            process.kill()


def test_it_serves_until_ctrl_c(weights):
    content = encoded(waves(40, 50))
    with serving(weights) as (process, address):
        asked = urllib.request.Request(
            f"{address}/predict?format=png", content, {"Content-Type": "image/png"}, method="POST"
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert opened(answer.read()).size == (50, 40)
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert "server" not in answer.headers and answer.headers["x-content-type-options"] == "nosniff"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
        assert (process.returncode, out, err) == (0, "ended.\n", "")


def test_it_ends_well_though_it_has_hardly_begun(weights):
    with serving(weights) as (process, _):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    assert (process.returncode, out, err) == (0, "ended.\n", "")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_server_runs_tells_it_to_end(weights, monkeypatch, capsys, signum):
    """It raises nothing: an exception amid the imports of the server would leave files open."""
    seen = []
    run = uvicorn.Server.run

    def run_late(server, sockets):
        signal.raise_signal(signum)
        seen.append(server.should_exit)
        run(server, sockets)
        seen.append(server.started)

    monkeypatch.setattr("uvicorn.Server.run", run_late)
    before = signal.getsignal(signum)
    main([str(weights), "--port=0"])
    assert seen == [True, True] and capsys.readouterr().out.endswith("ended.\n")
    assert signal.getsignal(signum) is before


SLOW = """
import time
from subquad.tasks.segmentation.commands import serve
from subquad.tasks.segmentation.serve.inference import Inference
serve.PATIENCE = 0.2
Inference.predict = lambda *_: time.sleep(100)
"""


@pytest.mark.parametrize("content", some_by_day([encoded(waves(9, 9)), b""], lambda content: not content))
@pytest.mark.parametrize(
    "signum", some_by_day([signal.SIGINT, signal.SIGTERM], lambda signum: signum == signal.SIGTERM)
)
def test_it_ends_soon_though_a_network_or_a_client_takes_its_time(weights, signum, content):
    """A picture that takes forever, or comes never: its sender is told, the terminal shows no traceback."""
    with serving(weights, before=SLOW) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as asking:
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content) or 9}\r\n"
            asking.sendall(f"{head}Content-Type: image/png\r\n\r\n".encode() + content)
            while json.load(urllib.request.urlopen(f"{address}/health", timeout=10))["requests"] < 1:
                time.sleep(0.01)
            process.send_signal(signum)
            out, err = process.communicate(timeout=15)
            answer = asking.recv(10_000).decode()
        assert (process.returncode, out, err) == (0, "ended.\n", "")
        assert answer.startswith("HTTP/1.1 503") and "the server has ended" in answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
@pytest.mark.parametrize("block", re.findall(r"^```bash\n(curl.*?)^```", GUIDE.read_text(), re.M | re.S))
def test_the_examples_of_the_guide(block, tmp_path, served_guide):
    """Each of them runs as it stands there, but for the port."""
    Image.fromarray(waves(150, 200)).save(tmp_path / "photo.jpg")
    Image.fromarray(waves(100, 140)).save(tmp_path / "other.png")
    for line in block.replace("\\\n", " ").strip().splitlines():
        command = shlex.split(line.replace("http://127.0.0.1:8000", served_guide), comments=True)
        done = subprocess.run(
            [*command, "-sS", "--fail-with-body"], cwd=tmp_path, capture_output=True, timeout=30
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "-o" in command:
            with Image.open(tmp_path / command[command.index("-o") + 1]) as mask:
                assert np.asarray(mask).shape == (150, 200)
        else:
            assert done.stdout[:1] in (b"{", b"["), line


@pytest.fixture(scope="module")
def served_guide(weights):
    with serving(weights) as (_, address):
        yield address


def test_the_guide_has_examples():
    assert len(re.findall(r"^```bash\ncurl", GUIDE.read_text(), re.M)) >= 4


def test_a_port_that_is_taken(complains, weights):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        complains(
            "serve", weights, f"--port={port}",
            quoting=[f"port {port} of 127.0.0.1 cannot be had", "--port 0 for any that is free"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--host=no.such.host.invalid", "is no address of this machine"),
        ("--host=192.0.2.1", "cannot be had"),
        ("--port=65536", "--port must be 0 to 65535, got 65536"),
        ("--port=-1", "--port must be"),
        ("--max_bytes=0", "--max_bytes must be at least 1"),
        ("--max_pixels=0", "--max_pixels must be at least 1"),
        ("--tile=100", "take 128"),
        ("--device=abacus", "--device abacus"),
        ("--name=http://lab:80", "--name must be a name without scheme and port"),
    ],
)
def test_options_that_nothing_can_be_served_with(complains, weights, option, said):
    complains("serve", weights, option, quoting=said)


def test_networks_that_cannot_be_served(complains, tmp_path):
    complains("serve", tmp_path / "no.safetensors", quoting="there is no checkpoint")
    save_model(create_model("paramixer_adding", dim=8, hidden=8), tmp_path / "other.safetensors")
    complains("serve", tmp_path / "other.safetensors", quoting=["SequenceNetwork", "subquad predict"])
    save_model(telling_network(in_channels=1), tmp_path / "grey.safetensors")
    complains("serve", tmp_path / "grey.safetensors", quoting="sees 1 channel")


@pytest.mark.parametrize("missing", ["uvicorn", "python_multipart", "starlette"])
def test_what_is_not_installed_is_said_with_the_remedy(complains, weights, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    complains("serve", weights, quoting=[missing, "pip install 'subquad[serve]'"])


def test_names_of_models():
    assert name_of(Path("/a/cells.safetensors")) == "cells"
    assert name_of(Path("/runs/photos/best.safetensors")) == "photos"


def test_other_machines_may_ask_if_that_is_wanted(weights, monkeypatch, capsys):
    """Then it answers under any name, and says that others may ask."""
    seen = []
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    monkeypatch.setattr(
        "subquad.tasks.segmentation.serve.app.make_app",
        lambda *parts, **options: seen.append(options["names"]) or make_app(*parts, **options),
    )
    for host in ("0.0.0.0", "127.0.0.1", "localhost"):
        main([str(weights), f"--host={host}", "--port=0"])
    assert seen[0] == () and seen[1][:2] == seen[2][:2] == ("localhost", "127.0.0.1")
    told = capsys.readouterr()
    assert told.out.startswith("http://0.0.0.0:") and told.err.count("whoever reaches this machine") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_it_answers_under_the_name_that_it_is_given(weights, monkeypatch, capsys, host):
    """So that no other site can lead its own name here, where other machines may ask."""
    apps = []
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: apps.append(server.config.app))
    main([str(weights), f"--host={host}", "--port=0", "--name=Lab.example.org"])
    told = capsys.readouterr()
    assert told.out.startswith("http://Lab.example.org:") and "--name" not in told.err
    for name, status in (("lab.example.org:9", 200), ("127.0.0.1", 200), ("evil.example", 403)):
        assert ask(apps[0], "GET", "/health", headers={"Host": name}).status_code == status
    main([str(weights), "--host=0.0.0.0", "--port=0"])
    assert "under any name" in capsys.readouterr().err


def test_a_network_that_comes_with_the_package_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serving("nuclei") as (_, address), urllib.request.urlopen(f"{address}/model", timeout=30) as answer:
        told = json.load(answer)
    assert told["name"] == "nuclei" and "nucleus" in " ".join(one["name"] for one in told["classes"])
    network = load_model("nuclei")
    assert len(told["classes"]) == network.config.num_classes
    assert told["parameters"] == sum(p.numel() for p in network.parameters())


def test_it_is_for_this_machine_unless_it_is_told_otherwise():
    assert parser().parse_args(["net.safetensors"]).host == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_ipv6():
    with bound("::1", 0) as listening:
        assert listening.family == socket.AF_INET6


def test_a_run_is_served_by_its_folder(trained):
    with serving(trained.run) as (_, address), urllib.request.urlopen(f"{address}/model", timeout=30) as told:
        assert [one["name"] for one in json.load(told)["classes"]] == ["road", "sky", "car"]
