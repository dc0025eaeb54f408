"""`app routes`: every address the service answers, without opening anything."""

from __future__ import annotations

import click

from app.cli.context import CliContext, pass_context


@click.command()
@pass_context
def routes(context: CliContext) -> None:
    """List every route: methods, path and the handler that answers it."""
    settings = context.load_settings()

    from app.bootstrap import FEATURES
    from app.core.lifecycle import Lifecycle
    from app.server import create_app

    rules = create_app(settings, FEATURES, lifecycle=Lifecycle()).url_map.iter_rules()
    rows = sorted((rule.rule, ", ".join(sorted(rule.methods or ())), rule.endpoint) for rule in rules)
    width = max(len(path) for path, _, _ in rows)
    for path, methods, endpoint in rows:
        click.echo(f"{path:<{width}}  {methods:<20}  {endpoint}")
