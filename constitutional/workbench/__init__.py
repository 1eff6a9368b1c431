"""The workbench: what people who write constitutions need beside a text editor.

`skeleton` starts a file, `json_schema` lets editors complete and check it, `lint` finds its weak spots, `diff` and `stale` say
what an edit changes and what it costs, `trial` and `watch` try it on a prompt, `analysis` says what each principle did in a
run, `formats` reads and writes other people's files. All of it stands on `constitution.py`; nothing below knows of it.
"""
