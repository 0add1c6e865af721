"""The block without one of its parts, and its other versions."""

from torch import nn

from subquad.nn import Hamburger

ALTERED = frozenset(
    {
        *("no lower bread", "no upper bread", "no bread", "no shortcut", "no norm", "V2", "V2+", "gate"),
        *("V2+, four times the steps", "gate, four times the steps", "gate from 0.1"),
    }
)
VERSIONS = {"V2": {"version": "v2"}, "V2+": {"version": "v2plus"}, "gate": {"version": "v1", "gate": True}}


class WithoutShortcut(Hamburger):
    def _merge(self, x, y):
        return y.relu()


def alter(network, case):
    """Change the Hamburger of a Light-Ham."""
    head, config = network.head, network.config
    version = VERSIONS.get(case.removesuffix(", four times the steps").removesuffix(" from 0.1"))
    if version or case == "no shortcut":
        kind = WithoutShortcut if case == "no shortcut" else Hamburger
        head.hamburger = kind(
            config.ham_channels,
            dim=config.ham_channels,
            norm=config.norm,
            **(version or {"version": "v1"}),
            **config.ham_options,
        )
    block = head.hamburger
    if case in ("no lower bread", "no bread"):
        block.lower_bread = nn.Identity()  # of the same width; the ReLU stays
    if case in ("no upper bread", "no bread"):
        block.upper_bread = nn.Identity()
    if case == "gate from 0.1":
        nn.init.constant_(block.gate, 0.1)
    if case == "no norm":
        block.norm = nn.Identity()
