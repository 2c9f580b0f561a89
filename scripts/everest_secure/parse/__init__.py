"""Typed values from a target's files, read the way the programs on the target read them.

A parser is a pure function of text; `read_*` functions beside it find the files in a tree. Text that the program itself would refuse, or
that the parser does not understand, is an ArtefactError: what cannot be read is never taken for good.
"""
