"""ScienceWorld: its simulator in one Java process for many environments, and its levels."""
