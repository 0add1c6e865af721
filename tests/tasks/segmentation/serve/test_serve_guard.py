"""Pages of other sites cannot ask a server on this machine, whatever name they come under."""

import pytest

from serving import HERE, application, ask, encoded, images, sentence, waves

PICTURE = images(encoded(waves(9, 12)))


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST:1"])
def test_own_names(host):
    assert ask(application(), "GET", "/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]"])
@pytest.mark.parametrize("path", ["/", "/model", "/health"])
def test_other_names(host, path):
    told = sentence(ask(application(), "GET", path, headers={"Host": host}), 403)
    assert told.startswith("this server answers under its own name alone")


def test_a_server_for_others_answers_under_any_name():
    app = application(names=())
    assert ask(app, "GET", "/health", headers={"Host": "gpu-box:8000"}).status_code == 200
    here = {"Host": "gpu-box:8000", "Origin": "http://gpu-box:8000"}
    assert ask(app, "POST", "/predict", files=PICTURE, headers=here).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8000.evil", ""],
)
def test_pages_of_other_sites(origin):
    app = application()
    told = sentence(ask(app, "POST", "/predict", files=PICTURE, headers={"Origin": origin}), 403)
    assert told.startswith("pages of other sites may not ask here")
    assert ask(app, "GET", "/health", headers={"Origin": origin}).status_code == 200


def test_the_own_page():
    app = application()
    assert ask(app, "POST", "/predict", files=PICTURE, headers={"Origin": HERE}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/model", "/nothing"])
def test_headers_of_security(path):
    answer = ask(application(), "GET", path)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
