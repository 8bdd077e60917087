"""Config files: reading, sections, and the page that lists them."""
