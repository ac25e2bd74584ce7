"""The common parts of our pages: sign-in, sessions, forms, language, templates, errors, the journal of visits and
acts."""
