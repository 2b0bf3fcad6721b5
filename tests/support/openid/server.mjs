// npm's oidc-provider as a real peer for tests: any account and any password, and faults by the account's name.
// node server.mjs MODULES PORT CONFIGURATION: a folder of node_modules, and JSON with `clients`.
// GET /test/rotate?kid=NAME replaces the signing key. GET /test/state tells what the provider has seen.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [, , modules, port, configuration] = process.argv;
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const { default: MemoryAdapter } = await import(pathToFileURL(`${modules}/oidc-provider/lib/adapters/memory_adapter.js`));
const jose = await import(pathToFileURL(`${modules}/jose/dist/webapi/index.js`));
const issuer = `http://localhost:${port}`;
const seen = { tokens: 0, refreshes: 0 };
let key;
let provider;

async function newKey(kid) {
  const pair = await jose.generateKeyPair('RS256', { extractable: true });
  return { ...(await jose.exportJWK(pair.privateKey)), kid, use: 'sig', alg: 'RS256' };
}

// What the account's name makes wrong with the ID token. Each is signed with the published key, unless it says otherwise.
const FAULTS = {
  'wrong-nonce': (claims) => ({ ...claims, nonce: 'another' }),
  'wrong-audience': (claims) => ({ ...claims, aud: 'another' }),
  'wrong-issuer': (claims) => ({ ...claims, iss: 'https://another.example.org' }),
  expired: (claims) => ({ ...claims, iat: claims.iat - 600, exp: claims.iat - 120 }),
  unpublished: (claims) => claims,
  'shared-secret': (claims) => claims,
};

async function spoiled(token, account) {
  const claims = FAULTS[account](jose.decodeJwt(token));
  if (account === 'shared-secret') {
    const secret = new TextEncoder().encode(provider.clientSecret.padEnd(32, 'x'));
    return new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
  }
  const signing = account === 'unpublished' ? await newKey(key.kid) : key;
  return new jose.SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: signing.kid })
    .sign(await jose.importJWK(signing, 'RS256'));
}

function claimsOf(id) {
  const address = id === 'no-address' ? {} : { email: `${id}@example.org`, email_verified: id !== 'unverified' };
  return { sub: id, preferred_username: id, groups: id.startsWith('teacher') ? ['teachers'] : ['class'], ...address };
}

async function start(kid) {
  key = await newKey(kid);
  const { clients } = JSON.parse(configuration);
  // Its own store forgets codes and tokens beyond the newest thousand or two: logins of a class that comes at once.
  const store = new Map();
  provider = new Provider(issuer, {
    clients,
    adapter: (model) => new MemoryAdapter(model, store),
    jwks: { keys: [key] },
    findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => claimsOf(id) }),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username', 'groups'] },
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    // It refuses to call this machine, where hubs of tests are; real hubs are elsewhere.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    cookies: { keys: ['of the tests'] },
    features: { rpInitiatedLogout: { enabled: true }, backchannelLogout: { enabled: true } },
    issueRefreshToken: async (_ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    // Who has logged in is asked for nothing else: a class of three hundred would have to consent one by one.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid email profile offline_access');
      await grant.save();
      return grant;
    },
  });
  provider.clientSecret = clients[0].client_secret ?? '';
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route !== 'token' || !ctx.body?.id_token) return;
    seen.tokens += 1;
    if (ctx.oidc.params.grant_type === 'refresh_token') seen.refreshes += 1;
    const account = jose.decodeJwt(ctx.body.id_token).sub;
    if (account in FAULTS) ctx.body = { ...ctx.body, id_token: await spoiled(ctx.body.id_token, account) };
  });
  provider.use(async (ctx, next) => {
    await next();
    const location = ctx.response.get('location') ?? '';
    if (location.includes('code=') && ctx.oidc?.session?.accountId === 'mixed-up') {
      const address = new URL(location);
      address.searchParams.set('iss', 'https://another.example.org');
      ctx.set('location', address.href);
    }
  });
  provider.on('server_error', (_ctx, error) => console.error(error));
}

await start('first');
createServer(async (request, response) => {
  const address = new URL(request.url, issuer);
  if (address.pathname === '/test/rotate') {
    await start(address.searchParams.get('kid'));
    response.end('{}');
  } else if (address.pathname === '/test/state') {
    response.end(JSON.stringify(seen));
  } else {
    provider.callback()(request, response);
  }
}).listen(Number(port), () => console.log('ready'));
