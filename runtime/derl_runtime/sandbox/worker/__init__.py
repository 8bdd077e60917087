"""What runs inside the sandbox's own processes; nothing here imports NumPy or the host's side."""
