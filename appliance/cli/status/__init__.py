"""What `appliance status` and `appliance doctor` print."""
