"""How much a file from outside may ask for: more than any honest file, less than a machine has.

A file is refused within seconds, before what it asks for is allocated. Each limit is named in the
sentence that refuses, with what to do.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Recipes and config.yaml: ours have at most 150 lines, 4 KiB and 3 levels.
LARGEST_YAML = 1 * MIB
MOST_YAML_VALUES = 20_000
DEEPEST_YAML = 16

# classes.json and lists of names: ImageNet's 21,841 classes with their colours take 1 MiB.
LARGEST_NAMES_FILE = 16 * MIB

# Packed text: DNA packs to 1/5, logs and tables to 1/30. A bomb reaches 1/7,000 with xz, 1/1,000 with gzip.
# What unpacks to less than the first number is read whatever its ratio.
UNPACKED_UNASKED = 64 * MIB
MOST_UNPACKED_RATIO = 100

# A line of a file, or a document read whole as one sequence: 64 times the longest sequence that has been
# trained on here, and ten times as much memory in the end. Longer DNA has its lines broken, as FASTA has.
LONGEST_LINE = 64 * MIB

# Of the options of the command line: whole numbers that Python takes, and PyTorch's 64 bits do not.
LARGEST_WHOLE_NUMBER = 2**63 - 1

# Of the command line, options by name: more than was ever used, and less than what eats a machine before
# anything else can be said. Sides are pixels, one of a crop in float32 takes 800 MB at most.
MOST_BATCH = 2**20
MOST_PROCESSES = 1024  # loaders, devices
LONGEST_CROP_SIDE = 2**13
LONGEST_PICTURE_SIDE = 2**17
LARGEST_ZOOM = 64.0
MOST_POSITIONS = 2**26  # of made sequences; samples of an epoch; lengths to measure
MOST_IMAGES = 10**7  # to generate or to score

# Scores as JSON: of ADE20K's 150 classes they have 40 KiB.
LARGEST_SCORES = 64 * MIB
