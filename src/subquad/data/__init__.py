"""What several tasks read: pictures, their classes, and batches in an order that can be resumed.

This layer knows no model and no task.
"""

from subquad.data.loading import Batches, TrainingOrder, in_batches
from subquad.data.pictures import read_image

__all__ = ["Batches", "TrainingOrder", "in_batches", "read_image"]
