"""Pure functions of tensors: decompositions, links, rotations, linear memories. Needs torch alone."""

from subquad.ops.causal_links import causal_link_chain, causal_link_mix
from subquad.ops.cd import CD
from subquad.ops.decompose import decompose
from subquad.ops.encode import encode
from subquad.ops.links import cdil_offsets, chord_offsets, link_mix
from subquad.ops.memory import MemoryState, linear_memory, memory_step
from subquad.ops.nmf import NMF
from subquad.ops.rotate import rotate
from subquad.ops.solver import Descending, Factors, Problem, Solver
from subquad.ops.vq import VQ

__all__ = [
    "CD",
    "NMF",
    "VQ",
    "Descending",
    "Factors",
    "MemoryState",
    "Problem",
    "Solver",
    "causal_link_chain",
    "causal_link_mix",
    "cdil_offsets",
    "chord_offsets",
    "decompose",
    "encode",
    "linear_memory",
    "link_mix",
    "memory_step",
    "rotate",
]
