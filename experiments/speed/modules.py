"""Print the modules' table with its heading: python experiments/speed/modules.py"""

from tables import modules, read

HEADING = (
    *("module", "parameters, 2^20", "published", "multiply-adds, 10^9", "published"),
    *("training step, ms", "inference, ms", "training, MiB", "inference, MiB"),
)

where = read("modules")["environment"]
print(
    f"One map of 512 x 128 x 128, float32; a training step is forward and backward ({where['device']}, "
    f"{where['threads']} threads, torch {where['torch']}, commit {where['commit']}):\n"
)
print(f"| {' | '.join(HEADING)} |\n|---{'|--:' * (len(HEADING) - 1)}|")
for row in modules():
    print(f"| {' | '.join(row)} |")
