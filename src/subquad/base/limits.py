"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30
