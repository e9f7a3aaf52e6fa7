"""The operator's command line: looks into a deployed stack and helps it along, on AWS or on the local cloud.

`main` puts the commands together, `commands` says how they are typed, `repository` finds those that need a checkout;
each of the other modules does the work of one or two commands.
"""
