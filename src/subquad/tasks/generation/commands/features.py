"""`subquad features`: train the proxy features of a data set, for proxy-FID."""

from __future__ import annotations

import sys
from pathlib import Path

from subquad.base.files import check_writable
from subquad.data.class_images import ClassImageOptions, open_class_images
from subquad.engine.options import add_device, add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing


def parser() -> Parser:
    """Return the options of `subquad features`."""
    p = Parser(
        prog="subquad features",
        description="Train a small classifier on the labels of a data set. Its features take Inception's "
        "place where there is none: a Frechet distance of them is a proxy-FID, never a FID.",
    )
    p.add_argument("--output", type=str, default="features.safetensors", help="File to write.")
    add_overwrite(p)
    p.add_argument("--size", type=int, default=32, help="Height and width of pictures from class folders.")
    p.add_argument("--channels", type=int, default=3, help="Of pictures from class folders, 1 or 3.")
    p.add_argument("--width", type=int, default=32, help="Channels of the first convolution.")
    p.add_argument("--epochs", type=int, default=2, help="Passes over the training set.")
    p.add_argument("--lr", type=float, default=3e-3, help="Highest learning rate.")
    p.add_argument("--seed", type=int, default=0, help="Of weights and order.")
    add_device(p)
    p.add_class_arguments(ClassImageOptions, "data")
    return p


def main(arguments: list[str]) -> None:
    """Parse, train, write."""
    from subquad.tasks.generation.data.module import ClassImageData
    from subquad.tasks.generation.proxy import ProxyConfig, save_proxy
    from subquad.tasks.generation.proxy_training import train_proxy

    p = parser()
    options = p.instantiate(p.parse_args(arguments))
    target = Path(options.output)
    check_writable(target)
    read = [options.data.root] if options.data.root is not None else []
    check_outputs([target], read, overwrite=options.overwrite)
    channels, side = options.data.fixed() or (options.channels, options.size)
    train, evaluation = (
        open_class_images(options.data, split, side=side, channels=channels)
        for split in (options.data.train, options.data.evaluation)
    )
    data = ClassImageData(
        train,
        evaluation,
        batch_size=options.data.batch_size,
        eval_batch_size=options.data.eval_batch_size,
        workers=options.data.workers,
        seed=options.seed,
    )
    loader = data.train_dataloader()

    def of_epoch(epoch: int):
        loader.order.set_epoch(epoch)
        return loader

    config = ProxyConfig(
        class_names=train.class_names,
        channels=channels,
        side=side,
        width=options.width,
        data=f"{options.data.name}, {len(train):,} pictures",
    )
    with doing("training features"):
        network = train_proxy(
            config,
            of_epoch,
            data.val_dataloader(),
            steps=len(loader),
            epochs=options.epochs,
            lr=options.lr,
            seed=options.seed,
            device=options.device,
        )
    save_proxy(network, target)
    assert network.config.accuracy is not None
    sys.stdout.write(
        f"{target}: {100 * network.config.accuracy:.2f} % of {len(evaluation):,} pictures recognised\n"
    )
