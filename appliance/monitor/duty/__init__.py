"""The persons who get a notification: the one on duty, then the next one while it lasts, everybody in a hole."""
