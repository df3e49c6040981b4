"""The vision-language and language models that geometry is brought to."""
