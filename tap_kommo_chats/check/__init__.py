"""Whether a run would work: a few requests, and a line for each thing that is needed.

What is asked stands apart from what an answer means, which is pure.
"""
