"""A toy of a task: is a wave round or square?"""
