"""Messages become token ids, token ids become batches."""
