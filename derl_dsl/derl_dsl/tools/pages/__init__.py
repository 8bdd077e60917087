"""What the HTML pages of all tools share."""
