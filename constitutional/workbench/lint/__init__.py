"""Lint: what is wrong with a constitution's file, and what is likely to go wrong with it, each with its place and what to do.

`linter.lint` is the way in. A rule is an object in `rules/`, with the examples that the documentation shows and the tests
run; `reading.py` is what the rules are shown of a file. What the loader refuses is found by the loader itself
(`composition.examine`), so the two can't disagree; each of its problems names its rule.
"""
