"""What `subquad bench` measures: each with its options, and a function that measures."""
