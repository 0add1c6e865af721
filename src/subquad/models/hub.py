"""Networks as folders, and on the Hugging Face Hub: weights, configuration and a model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from subquad.base.files import write_whole
from subquad.models.card import model_card
from subquad.models.checkpoint import load_model, save_model
from subquad.models.config import NetworkConfig
from subquad.models.config_text import config_to_json

if TYPE_CHECKING:
    from subquad.models.network import Network

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_pretrained(
    network: nn.Module,
    folder: str | Path,
    *,
    license: str = "apache-2.0",
    metrics: Mapping[str, float] | None = None,
    description: str = "",
) -> None:
    """Write model.safetensors, config.json and a model card, README.md.

    model.safetensors is a checkpoint as `save_model` writes it and is enough to load the network;
    config.json tells others what it is. A model card that is there is kept: it may have been edited.

    Args:
        network: Of `create_model`.
        folder: Made if needed.
        license: Of the weights, as the Hub spells it.
        metrics: Scores by name, such as {"mean IoU": 0.43}; they go into the card.
        description: What to tell about the weights: their data, their training.

    Raises:
        ValueError: If the network is not one of ours, if `folder` is a file, or if huggingface_hub
            is missing.
    """
    if Path(folder).is_file():
        raise ValueError(f"{folder} is a file; give the name of a folder.")
    card = model_card(network, Path(folder).name, license=license, metrics=metrics, description=description)
    _hub_form(network, card).save_pretrained(folder)


def push_to_hub(
    network: nn.Module,
    repository: str,
    *,
    license: str = "apache-2.0",
    metrics: Mapping[str, float] | None = None,
    description: str = "",
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload a network of subquad",
) -> str:
    """Upload what `save_pretrained` writes.

    Args:
        network: Of `create_model`.
        repository: "user/name"; made if needed.
        license: See `save_pretrained`, as `metrics` and `description`.
        metrics: Scores by name.
        description: What to tell about the weights.
        private: Of a new repository; None takes the account's default.
        token: Of the account; None takes that of `hf auth login`.
        commit_message: Of the upload.

    Returns:
        The address of the commit.

    Raises:
        ValueError: As `save_pretrained`.
    """
    card = model_card(network, repository, license=license, metrics=metrics, description=description)
    form = _hub_form(network, card)
    return str(form.push_to_hub(repository, private=private, token=token, commit_message=commit_message))


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Network:
    """Rebuild a network from a folder of `save_pretrained`, or from a repository of the Hub.

    A folder is read without any network connection; for the id of a repository, and only then, the
    weights are downloaded. Nothing in the file is code.

    Args:
        source: A folder, or a repository "user/name".
        revision: Branch, tag or commit of the repository.
        token: Of the account, for private repositories.
        cache_dir: Where downloads are kept; None takes huggingface_hub's folder.
        local_files_only: Take what was downloaded before, or fail.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: If there is neither such a folder nor a model in it.
        ValueError: If the file is damaged, the repository cannot be had, or huggingface_hub is missing.
    """
    folder = Path(source)
    if folder.is_dir():
        if not (folder / WEIGHTS).is_file():
            best = folder / "best.safetensors"
            run = (
                f"; the best weights of a run are read by load_model({str(best)!r})" if best.is_file() else ""
            )
            raise FileNotFoundError(
                f"{folder} holds no {WEIGHTS}; give a folder that save_pretrained wrote{run}."
            )
        return load_model(folder / WEIGHTS)
    repository = str(source)
    if folder.is_absolute() or repository.startswith(".") or repository.count("/") != 1:
        raise FileNotFoundError(f"there is no folder {source}; repositories of the Hub are 'user/name'.")
    hub = _import_hub()
    try:
        path = hub.hf_hub_download(
            repository,
            WEIGHTS,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
    except Exception as error:  # of the network, the account, the repository: each its own class
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(
            f"there is no folder {source}, and {WEIGHTS} of the repository {repository!r} cannot be had: "
            f"{reason}"
        ) from error
    return load_model(path)


def _import_hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError("the Hub's folders need huggingface_hub: pip install 'subquad[train]'.") from error
    return huggingface_hub


def _hub_form(network: nn.Module, card: str) -> Any:
    """Return the network as huggingface_hub's mixin wants it."""
    hub = _import_hub()

    class HubForm(hub.ModelHubMixin):
        def _save_pretrained(self, save_directory: Path) -> None:
            config = network.config
            assert isinstance(config, NetworkConfig)
            save_model(network, save_directory / WEIGHTS)
            write_whole(save_directory / CONFIG, f"{config_to_json(config)}\n".encode())

        def generate_model_card(self, *args: Any, **options: Any) -> Any:
            return hub.ModelCard(card)

    return HubForm()
