"""ALFWorld: the official engine, games in its format, and a twin of the engine that is fast."""
