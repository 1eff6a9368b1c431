"""Jobs: a stage run over its inputs into a run directory, one module a stage.

`job` is what all have in common: plan, refuse or confirm, run, publish. The others say what their rows are, what is done with one,
and which data sets come out.
"""
