"""The signed bundle on a real host: its files rendered, checked and put in force."""
