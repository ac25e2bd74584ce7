"""The output of `appliance status` and `appliance doctor`."""
