"""Models as GGUF files, which llama.cpp and programs built on it read. `gguf`, the format's own package, is an extra.

What llama.cpp would compute or cut otherwise than transformers is refused with the reason.
"""
