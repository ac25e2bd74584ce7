"""The programs that units run beside the agent, one module each."""
