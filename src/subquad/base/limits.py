"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Characters of a cell in a CSV: the parser takes eight bytes or so for each. Longer sequences are FASTA.
LONGEST_CELL = 64 * MIB
# Characters of a CSV that are read once more after a quote that does not close, and 64 more for each line:
# two seconds or so.
MOST_READ_AGAIN = 256 * MIB
READ_AGAIN_A_LINE = 64
# Share of tokens that a network may not know before it is asked about another alphabet than its own.
MOST_UNKNOWN = 0.2
# Share of letters in a FASTA file that may be none of the nucleic acid code: of a protein a third is none.
MOST_FOREIGN_LETTERS = 0.05
# Pixels of a side of a picture that is read as a sequence: a position each. Those published have 32 to 256.
LARGEST_SIDE = 1024
