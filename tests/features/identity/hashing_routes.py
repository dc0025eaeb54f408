"""What a naive sign-in does: it hashes where everybody else is served."""

from __future__ import annotations

from quart import Blueprint

from app.feature import Feature
from app.features.identity.hashing import ARGON2ID
from app.web import PUBLIC, endpoint

routes = Blueprint("hashing", __name__)


@routes.post("/test/hash-on-the-loop")
@endpoint(PUBLIC.but(idempotency=False))
async def hash_on_the_loop() -> str:
    return ARGON2ID.hash("a password that is wrong")


feature = Feature("hashing", (routes,))
