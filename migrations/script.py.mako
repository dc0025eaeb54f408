<%
# What Alembic has found, without its remarks, and so that a file with nothing in it can't pass for a revision.
def body(code, verb):
    lines = [line for line in (code or "").splitlines() if not line.strip().startswith("# ###")]
    text = "\n".join(lines).strip()
    return f'raise NotImplementedError("Write how revision {up_revision} {verb}.")' if text in ("", "pass") else text

up = body(upgrades, "changes the schema")
down = body(downgrades, "is undone")
sentence = message.strip().replace("\\", "/").replace('"', "'")
sentence = sentence[:1].upper() + sentence[1:] + ("" if sentence[-1:] in ".!?" else ".")
lines = ["import sqlalchemy as sa"] * ("sa." in up + down) + ["from alembic import op"] * ("op." in up + down)
lines += sorted((imports or "").split("\n")) if imports else []
%>\
"""${sentence}

Revision ${up_revision} after ${down_revision or "none"}, ${create_date.date()}.
"""

from __future__ import annotations

% if lines:
${"\n".join(lines)}

% endif
revision = "${up_revision}"
down_revision: str | None = ${f'"{down_revision}"' if down_revision else None}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${up}


def downgrade() -> None:
    ${down}
