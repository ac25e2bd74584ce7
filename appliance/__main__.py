"""`python3 -m appliance` is the command `appliance`.

Ctrl-C has to wait until the command can answer it with a sentence: half a second of imports would die of it instead.
"""

from importlib import import_module

signals = import_module("_signal")  # signal itself takes a while to load
signals.pthread_sigmask(signals.SIG_BLOCK, (signals.SIGINT,))
import_module("appliance.cli.main").main()
