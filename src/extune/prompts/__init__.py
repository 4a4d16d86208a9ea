"""How an example becomes messages and how an answer becomes an annotation again. Text in, text out; no tokens."""
