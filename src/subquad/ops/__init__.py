"""Pure functions of tensors: the decompositions, and mixing by links and rotations. Needs torch alone."""

from subquad.ops.cd import CD
from subquad.ops.decompose import Descending, Factors, Problem, Solver, decompose
from subquad.ops.encode import encode
from subquad.ops.links import cdil_offsets, chord_offsets, link_mix
from subquad.ops.nmf import NMF
from subquad.ops.rotate import rotate
from subquad.ops.vq import VQ

__all__ = [
    "CD",
    "NMF",
    "VQ",
    "Descending",
    "Factors",
    "Problem",
    "Solver",
    "cdil_offsets",
    "chord_offsets",
    "decompose",
    "encode",
    "link_mix",
    "rotate",
]
