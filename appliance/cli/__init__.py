"""The command line, one file per verb: parse, call, print. No other package imports this one."""
