"""A feature that adds nothing, so that a server is the app's own."""

from app.feature import Feature

feature = Feature(name="nothing_more")
