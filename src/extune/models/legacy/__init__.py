"""Checkpoints whose modelling code came with the weights, read natively: Qwen-1, Baichuan-7B, Baichuan2-7B, ChatGLM2/3-6B.

In: a folder as it was released. Out: a native folder with safetensors, tokenizer, chat template and a note of what was
converted. Code of the folder is never looked at. It knows nothing about recipes and runs.
"""
