// A certified OpenID provider for the tests: node provider.mjs FOLDER_OF_NODE_MODULES < one line of JSON, kept open
//
// The line: {port, keys (private JWKs), algorithm, clients, accounts: {id: claims}, audience, lifetime}. It ends when
// standard input does, so that none is left behind. Every line it prints is JSON: {"listening": port}, {"asked": path}.
import { once } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { default: Provider } = await import(
  pathToFileURL(join(process.argv[2], 'node_modules/oidc-provider/lib/index.js'))
);

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
const settings = JSON.parse((await once(lines, 'line'))[0]);

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const server = http.createServer();
server.listen(settings.port, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: settings.keys },
  clients: settings.clients,
  clientDefaults: { id_token_signed_response_alg: settings.algorithm },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  claims: { email: ['email', 'email_verified'], profile: ['name'] },
  findAccount: (_, id) => settings.accounts[id] && { accountId: id, claims: () => ({ sub: id, ...settings.accounts[id] }) },
  extraTokenClaims: (_, token) => settings.accounts[token.accountId],
  ttl: { AccessToken: settings.lifetime, ClientCredentials: settings.lifetime, IdToken: settings.lifetime },
  cookies: { keys: ['made up for tests'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        audience: resource,
        scope: 'read',
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.lifetime,
        jwt: { sign: { alg: settings.algorithm } },
      }),
    },
  },
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
  // Nobody is asked for consent.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email profile');
    for (const resource of [ctx.oidc.params.resource].flat().filter(Boolean)) grant.addResourceScope(resource, 'read');
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  tell({ asked: request.url });
  if (!request.url.startsWith('/sign-in/')) return answer(request, response);
  // Whoever the client names has signed in: the tests are about what comes after that.
  const { params } = await provider.interactionDetails(request, response);
  return provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
});
tell({ listening: port });
