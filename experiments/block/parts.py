"""The block without one of its parts, and its other versions."""

from functools import partial

from torch import nn

from subquad.models.segmentation.heads import init_head
from subquad.nn import Hamburger


class WithoutShortcut(Hamburger):
    def _merge(self, x, y):
        return y.relu()


def rebuild(network, kind=Hamburger, opening=None, **options):
    """Put another block in place of the one there, which starts as heads do.

    `opening` is what its gate starts with, if it has one and that is not 0.
    """
    head, config = network.head, network.config
    options = {"version": "v1", **options, **config.ham_options}
    block = kind(config.ham_channels, dim=config.ham_channels, norm=config.norm, **options)
    init_head(block)
    if opening is not None:
        nn.init.constant_(block.gate, opening)
    head.hamburger = block


def leave_out(network, names):
    """Take parts out of the block: what went in comes out. They are of one width; the ReLU stays."""
    for name in names:
        setattr(network.head.hamburger, name, nn.Identity())


CHANGES = {
    "no lower bread": partial(leave_out, names=("lower_bread",)),
    "no upper bread": partial(leave_out, names=("upper_bread",)),
    "no bread": partial(leave_out, names=("lower_bread", "upper_bread")),
    "no norm": partial(leave_out, names=("norm",)),
    "no shortcut": partial(rebuild, kind=WithoutShortcut),
    "gate": partial(rebuild, gate=True),
    "gate, four times the steps": partial(rebuild, gate=True),
    "gate from 0.1": partial(rebuild, gate=True, opening=0.1),
    "V2": partial(rebuild, version="v2"),
    "V2+": partial(rebuild, version="v2plus"),
    "V2+, four times the steps": partial(rebuild, version="v2plus"),
}
ALTERED = frozenset(CHANGES)


def alter(network, case):
    """Change the Hamburger of a Light-Ham."""
    if case in CHANGES:
        CHANGES[case](network)
