"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Of a picture or mask that is decoded as a whole: the largest cameras have 200 million, and in RGB this many
# take 2 GB while they are read. An option where commands read pictures.
PICTURE_PIXELS = 2**28
# Of a picture that a network sees at once: one frame of 8K film. The features of a small network take some
# 50 bytes a pixel, 1.6 GB here; `predict --tile` is for more.
UNTILED_PIXELS = 2**25
SMALL_PICTURE_PIXELS = 2**20  # of a picture of CIFAR-10 or Pathfinder, which have 1,024 to 65,536
CLASSES_BYTES = MIB  # of a file that names up to 255 classes
# Of Fashion-MNIST and CIFAR-10 unpacked, whose largest files have 47 and 123 MB.
CLASS_IMAGES_BYTES = 512 * MIB
