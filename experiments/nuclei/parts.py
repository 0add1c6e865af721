"""The F1 of single nuclei of the best weights, and the networks of others that are trained beside ours."""

import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

with suppress(ModuleNotFoundError):  # without segmentation_models_pytorch their names are refused
    import rivals  # noqa: F401  registers them

from objects import object_f1

from subquad.tasks.segmentation.data import SegmentationFolder


def measure(learner, options):
    """Count pairs of nuclei on the pictures of the evaluation, or on two if it sees no more."""
    data = SegmentationFolder(options.data.root, "val")
    few = options.trainer.as_dict().get("limit_test_batches") == 1
    return {"object_f1": 100 * object_f1(learner.network.cpu().eval(), data, 2 if few else len(data))}
