// The certified OpenID provider `oidc-provider`, configured for the auth service's tests.
//
// argv: port, and a JSON file with the clients' secret and the private keys (JWK) to sign with.
// Resources: urn:devices hands out JWTs (signed with RS256, or with the algorithm that its name
// ends in: urn:devices:ES256), urn:opaque hands out opaque tokens.
import { readFileSync } from 'node:fs';

import Provider from 'oidc-provider';

const [, , port, settingsFile] = process.argv;
const settings = JSON.parse(readFileSync(settingsFile, 'utf8'));
const issuer = `http://127.0.0.1:${port}`;

// A token's claims are what the test put into the scope: `phone-1 customer-42 gold`.
const claimsOf = (token) => {
  const [clientID, customer, ...groups] = (token.scope ?? '').split(' ');
  return { device: clientID, customer, groups };
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'app',
      client_secret: settings.secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: settings.client,
      client_secret: settings.secret,
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys: settings.keys },
  enabledJWA: {
    idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519'],
  },
  extraTokenClaims: (_ctx, token) => claimsOf(token),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => {
        const [, kind, algorithm] = resource.split(':');
        return {
          scope: ctx.oidc.params.scope,
          audience: kind,
          accessTokenTTL: 600,
          accessTokenFormat: kind === 'devices' ? 'jwt' : 'opaque',
          jwt: { sign: { alg: algorithm ?? 'RS256' } },
        };
      },
    },
  },
});

provider.on('server_error', (_ctx, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
