"""Loading policies: the embedded ones, GGUF files, hub ids; LoRA; greedy decoding."""
