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

# Packed text: DNA packs to 1/5, logs and tables to 1/30. A bomb reaches 1/7,000 with xz, 1/1,000 with gzip.
# What unpacks to less than the first number is read whatever its ratio.
UNPACKED_UNASKED = 64 * MIB
MOST_UNPACKED_RATIO = 100

# A line of a file, or a document read whole as one sequence: 64 times the longest sequence that has been
# trained on here, and ten times as much memory in the end. Longer DNA has its lines broken, as FASTA has.
LONGEST_LINE = 64 * MIB

# Of the options of the command line: whole numbers that Python takes, and PyTorch's 64 bits do not.
LARGEST_WHOLE_NUMBER = 2**63 - 1
LARGEST_RATE = 1e30  # of learning; Adam divides it by what its means lack at first, within float32
LARGEST_NUMBER = 3.4e38  # others are infinite in float32
LONGEST_ARGUMENT = 8192  # characters, twice the longest path
LONGEST_COMPLAINT = 1000  # characters of a sentence about a recipe, which may hold a value of a megabyte

# Of a checkpoint. The largest network here has 1,600 tensors, named in a header of 200 KB.
LARGEST_HEADER = 16 * MIB
MOST_TENSORS = 20_000
# Characters of a tokenizer, which lies in the header. One of 50,000 tokens has some 3 million.
LARGEST_TOKENIZER = 8 * MIB

# Of a network's options. A million classes, tokens or channels are more than any published network
# has; a sequence of 2^31 values fills 8 GiB before anything is computed from it.
LARGEST_WIDTH = 2**20
LONGEST_SEQUENCE = 2**31
MOST_BLOCKS = 1_000
MOST_FACTORS = 64  # log2 of a length
MOST_REACH = 26  # the same of a network that writes token by token, and keeps what it can reach
LARGEST_ID = LARGEST_WIDTH - 4  # of a token that is a number: 0 is one, and three have other meanings
MOST_STEPS = 1_000  # of a decomposition; six are published
LARGEST_SCALE = 1e6  # of what images are divided by, and its inverse; images are 0 to 1
LARGEST_WEIGHT = 1e6  # of a term in the loss
HYPER_PARAMETERS = (1e-12, 1e12)  # of a solver, whose inverse squares still fit into float32
LONGEST_NAME = 1_000  # of a class, in characters
MOST_PARAMETERS = 2**31  # 8 GiB in float32; a file may ask for no more than it holds
LARGEST_UNPACKED = 4 * GIB  # of a packed file of weights

# Characters of a cell in a CSV: the parser takes eight bytes or so for each. Longer sequences are FASTA.
LONGEST_CELL = 64 * MIB
MOST_DIGITS = 20  # of a class that is a number: Python refuses to read some thousands
# Characters of a CSV that are read once more after a quote that does not close, and 64 more for each line:
# two seconds or so.
MOST_READ_AGAIN = 256 * MIB
READ_AGAIN_A_LINE = 64
# Share of tokens that a network may not know before it is asked about another alphabet than its own.
MOST_UNKNOWN = 0.2
# Share of letters in a FASTA file that may be none of the nucleic acid code: of a protein a third is none.
MOST_FOREIGN_LETTERS = 0.05

# Of a picture or mask that is decoded as a whole: the largest cameras have 200 million, and in RGB this many
# take 2 GB while they are read. An option where commands read pictures.
PICTURE_PIXELS = 2**28
# Of a picture that `predict` shows a network at once: one frame of 8K film. The features of a small network
# take some 360 bytes a pixel, 12 GB here, which who starts a command may judge; `--tile` takes 1 GB or so.
UNTILED_PIXELS = 2**25
# That a picture may take which `serve` shows a network at once: others ask for it, and the kernel ends a
# process that takes too much. Measured: 300 bytes a pixel (VAN-Tiny) and 360 (EfficientNet-Lite0); 53 if the
# picture is shown reduced, and 4 for the scores of each class at the end, when the features are gone.
AT_ONCE_BYTES = 4 * GIB
WHOLE_PIXEL_BYTES, REDUCED_PIXEL_BYTES, SCORE_BYTES = 360, 53, 4
SMALL_PICTURE_PIXELS = 2**20  # of a picture of CIFAR-10 or Pathfinder, which have 1,024 to 65,536
CLASSES_BYTES = MIB  # of a file that names up to 255 classes
# Of a file of outlines: that of COCO's 118,287 training pictures has 448 MiB. Python takes five times as much
# memory for its numbers, so 2.5 GiB, and of a file of empty lists 25 times.
ANNOTATION_BYTES = 512 * MIB
# Of one outline, along the edges in pixels; it is drawn in memory 40 times as large. The longest of COCO has
# less than 20,000, so this is a mistake of units, or meant to eat memory.
LONGEST_OUTLINE = 2**22
DEEPEST_FOLDERS = 8  # below the root of a data set that are looked into for pictures
# Of Fashion-MNIST and CIFAR-10 unpacked, whose largest files have 47 and 123 MB.
CLASS_IMAGES_BYTES = 512 * MIB

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
LARGEST_LOG = 256 * MIB  # metrics.csv of a run: a line a step of a million steps has 60 MiB
# evaluation.npz unpacked: of ADE20K's 2,000 pictures it has 20 MiB.
LARGEST_COUNTS = 512 * MIB

# Files of a data set whose size is looked at when a run is resumed, evenly spread over all of them: a look
# takes 2 us on a disk and 0.2 ms over a network, so some seconds at worst.
FINGERPRINT_SIZES = 20_000
