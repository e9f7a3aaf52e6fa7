"""The operator's command line: looks into a deployed stack and helps it along, on AWS or on the local cloud.

`commands` names the commands; each of the other modules does the work of one or two of them.
"""
