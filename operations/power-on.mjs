// Puts a Hetzner server on and waits until it runs. Part of `pulumi up`: a changed server type leaves it off, and a
// creation that failed half-way leaves it as it was.
//
// Environment: SERVER_ID; HCLOUD_TOKEN; HCLOUD_ENDPOINT (default: the service's own).
// Does nothing when the server runs already. Fails after five minutes.

const { SERVER_ID, HCLOUD_TOKEN, HCLOUD_ENDPOINT = 'https://api.hetzner.cloud/v1' } = process.env;
const started = Date.now();
const deadline = started + 5 * 60_000;

if (process.argv.includes('--help') || !SERVER_ID || !HCLOUD_TOKEN) {
  console.error('usage: SERVER_ID=42 HCLOUD_TOKEN=… node operations/power-on.mjs');
  process.exit(process.argv.includes('--help') ? 0 : 2);
}

async function call(method, path) {
  const response = await fetch(`${HCLOUD_ENDPOINT}/${path}`, {
    method,
    headers: { authorization: `Bearer ${HCLOUD_TOKEN}` },
    signal: AbortSignal.timeout(30_000),
  });
  const body = await response.json();
  return { ok: response.ok, code: body.error?.code, message: body.error?.message, body };
}

// `locked` and `conflict` mean that an action still runs on the server; the rest of these pass by themselves.
const passing = new Set(['locked', 'conflict', 'rate_limit_exceeded', 'service_error', 'unavailable']);

for (;;) {
  try {
    const { ok, code, message, body } = await call('GET', `servers/${SERVER_ID}`);
    if (!ok && !passing.has(code)) throw Object.assign(new Error(`${code}: ${message}`), { final: true });
    if (body.server?.status === 'running') break;
    // `initializing`, `starting` and the like pass by themselves, unless what began them has failed.
    const stuck = body.server?.status !== 'off' && Date.now() - started > 15_000;
    if (body.server?.status === 'off' || stuck) {
      const on = await call('POST', `servers/${SERVER_ID}/actions/poweron`);
      if (!on.ok && !passing.has(on.code)) {
        throw Object.assign(new Error(`${on.code}: ${on.message}`), { final: true });
      }
    }
  } catch (error) {
    if (error.final || Date.now() > deadline) {
      console.error(`server ${SERVER_ID} could not be powered on: ${error.message}`);
      process.exit(1);
    }
  }
  if (Date.now() > deadline) {
    console.error(`server ${SERVER_ID} does not run five minutes after it was asked to`);
    process.exit(1);
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
