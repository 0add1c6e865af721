"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Files of a data set whose size is looked at when a run is resumed, evenly spread over all of them: a look
# takes 2 us on a disk and 0.2 ms over a network, so some seconds at worst.
FINGERPRINT_SIZES = 20_000
