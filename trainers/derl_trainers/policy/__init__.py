"""Loading policies: the embedded ones, GGUF files, hub ids; LoRA; their answers."""
