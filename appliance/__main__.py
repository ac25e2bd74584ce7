"""`python3 -m appliance` is the command `appliance`."""

from appliance.cli.main import main

main()
