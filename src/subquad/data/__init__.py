"""What several tasks read: pictures, their classes, and batches in an order that can be resumed.

This layer knows no model and no task.
"""

from subquad.data.loading import FILLER, Batches, TrainingOrder, even_share, in_batches
from subquad.data.pictures import read_image

__all__ = ["FILLER", "Batches", "TrainingOrder", "even_share", "in_batches", "read_image"]
