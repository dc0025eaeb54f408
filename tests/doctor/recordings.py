"""What Docker clients of several versions really print; addresses of registries are changed."""

from __future__ import annotations

from tests.doctor.project import Recorded

SOCKET = "unix:///var/run/docker.sock"

ENGINE = Recorded("26.1.5+dfsg1")
ENGINE_24 = Recorded("24.0.7")

# Clients up to 28, and from 29 on.
NOT_RUNNING = Recorded(err=f"Cannot connect to the Docker daemon at {SOCKET}. Is the docker daemon running?", code=1)
NOT_RUNNING_29 = Recorded(
    err=f"failed to connect to the docker API at {SOCKET}; check if the path is correct and if the daemon is "
    "running: dial unix /var/run/docker.sock: connect: no such file or directory",
    code=1,
)
DENIED = Recorded(
    err=f"permission denied while trying to connect to the Docker daemon socket at {SOCKET}: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": dial unix /var/run/docker.sock: connect: permission denied',
    code=1,
)
DENIED_29 = Recorded(err=f"permission denied while trying to connect to the docker API at {SOCKET}", code=1)
NO_CONTEXT = Recorded(
    err='Failed to initialize: unable to resolve docker endpoint: context "foo": context not found: open '
    "/home/ada/.docker/contexts/meta/2c26b46b/meta.json: no such file or directory",
    code=1,
)

COMPOSE = Recorded("2.26.1-4")
COMPOSE_2_17 = Recorded("2.17.3")
# Clients up to 27, and from 28 on.
NO_COMPOSE = Recorded(err="docker: 'compose' is not a docker command.\nSee 'docker --help'", code=1)
NO_COMPOSE_28 = Recorded(
    err="docker: unknown command: docker compose\n\nRun 'docker --help' for more information", code=1
)
BROKEN_YAML = Recorded(
    err="services.app Additional property portz is not allowed",
    code=15,
)

ALL_IMAGES = Recorded("plinth:main\npostgres:18\nredis:8\npython:3.13-slim\n<none>:<none>")
NO_POSTGRES = Recorded("redis:8\npython:3.13-slim")
NO_REGISTRY = Recorded(
    err='failed to configure transport: error pinging v2 registry: Get "https://registry.example/v2/": dial tcp: '
    "lookup registry.example on 127.0.0.53:53: no such host",
    code=1,
)
MANIFEST = Recorded('{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}')
NOTHING = Recorded()
