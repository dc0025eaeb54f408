"""The others, each a small program as its users write it; they run in an environment of their own (`.local/bench`).

They share nothing on purpose: what one would have in common with another is what users of either would write.
"""
