"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Of a checkpoint. The largest network here has 1,600 tensors, named in a header of 200 KB.
LARGEST_HEADER = 16 * MIB
MOST_TENSORS = 20_000

# Of a network's options. A million classes, tokens or channels are more than any published network
# has; a sequence of 2^31 values fills 8 GiB before anything is computed from it.
LARGEST_WIDTH = 2**20
LONGEST_SEQUENCE = 2**31
MOST_BLOCKS = 1_000
MOST_FACTORS = 64  # log2 of a length
MOST_STEPS = 1_000  # of a decomposition; six are published
LARGEST_SCALE = 1e6  # of what images are divided by, and its inverse; images are 0 to 1
LARGEST_WEIGHT = 1e6  # of a term in the loss
HYPER_PARAMETERS = (1e-12, 1e12)  # of a solver, whose inverse squares still fit into float32
LONGEST_NAME = 1_000  # of a class, in characters
MOST_PARAMETERS = 2**31  # 8 GiB in float32; a file may ask for no more than it holds
LARGEST_UNPACKED = 4 * GIB  # of a packed file of weights
