"""The API: models, conditions, the files that the operands read. Pure; imports nothing of ours."""
