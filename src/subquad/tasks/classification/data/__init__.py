"""Pictures with classes as classifiers are trained and evaluated on them."""
