"""The commands `train`, `meta-train`, `compare`, `runs`, `report`."""
