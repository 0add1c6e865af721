"""The command line in this process, and one short run."""

from types import SimpleNamespace

import pytest
from cli_helpers import fit_arguments, write_data

from subquad.cli.main import main


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    write_data(folder / "data")
    assert main(fit_arguments(folder / "data", folder / "run", "--save_every=1")) == 0
    return SimpleNamespace(
        run=folder / "run", data=folder / "data", weights=folder / "run" / "best.safetensors"
    )


@pytest.fixture
def call(capsys):
    """Run a command; returns its exit code, output and errors."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # as the shell sees it
            code = 0 if leaving.code is None else leaving.code
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def complains(call):
    """Run a command that must end with exit code 2 and one sentence on stderr; returns the sentence."""

    def run(*arguments, quoting=()):
        result = call(*arguments)
        assert result.code == 2, (result.code, result.err)
        lines = result.err.splitlines()
        assert len(lines) == 1, f"{len(lines)} lines on stderr:\n{result.err}"
        assert lines[0].startswith("subquad"), lines[0]
        assert "Traceback" not in result.out
        for quoted in [quoting] if isinstance(quoting, str) else quoting:
            assert quoted in lines[0], f"{quoted!r} is not in {lines[0]!r}"
        return lines[0]

    return run
