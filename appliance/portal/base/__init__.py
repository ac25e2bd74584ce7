"""What all our pages share: sign-in, sessions, forms, language, templates, errors, the journal of who did what."""
