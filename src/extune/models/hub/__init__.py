"""Models of a hub, downloaded once and kept: Hugging Face and ModelScope, or mirrors of them.

In: a hub's name and a revision. Out: a folder as it was released. It knows nothing about recipes, and looks at no file that it
fetches but to compare its hash.
"""
