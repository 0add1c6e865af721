"""A run of any task: its options, its folder, what is trained, saved, resumed and guarded."""
