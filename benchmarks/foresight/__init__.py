"""What `attack`, `diff`, `forecast` and `watch` claim, measured; see README.md here."""
