"""The pages of the portal: each reads what was asked, looks it up in scope, and shows it."""
