"""A territory whose nodes fail over for each other, as plain processes."""
