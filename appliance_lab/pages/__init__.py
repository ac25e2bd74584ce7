"""Pages of the documentation that come from the code: each module prints one (`make docs`)."""
