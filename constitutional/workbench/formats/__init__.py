"""Constitutions and few-shot examples in other formats, read and written: the workbench's `import` and `export`.

notes       what a conversion changed, made or could not place
source      a file as plain Python, with the place of every value
cleaning    texts without labels and white space
reading     what is collected while files are read: entries, ids, notes, problems
principle_lists, few_shot, csv_file, plain_text    the formats
table       all formats, and how a file's is recognised
importing   files → a constitution or examples
exporting   the other way round, read back to see what was lost
yaml_writer this project's own files, written exactly
"""
