"""Videos: frames one by one, each from the dictionary of the last, and how much the answer flickers."""
