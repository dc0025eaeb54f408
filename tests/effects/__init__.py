"""Proof that no setting is dead: one case for each, which makes two of its values visible from outside."""
