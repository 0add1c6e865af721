"""A class for each picture: data, training, scores and predictions; the networks are in `models`."""
