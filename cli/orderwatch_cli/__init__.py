"""The operator's command line: inspects and operates a deployed stack, on AWS or on a local cloud.

`main` registers the commands, `commands` has one module a command, `checks` has what `doctor` checks.
"""
