"""Pages for people who have signed in: their second factor."""
