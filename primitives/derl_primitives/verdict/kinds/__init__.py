"""The kinds of gold answers, one file each; `table` lists them in the order they are tried."""
