"""What the signed bundle means on a real host: its files rendered, checked and put in force."""
