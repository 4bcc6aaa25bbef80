// Servers that speak HTTP themselves, HTTP+SSE and Streamable HTTP: started by
// unmcp, and running elsewhere. Clients reach them as they reach all others.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { RawSession, sdks, text } from './lib/clients.mjs';
import { alive } from './lib/processes.mjs';
import { everythingPath, Unmcp } from './lib/unmcp.mjs';
import { until } from './lib/until.mjs';

const kSecret = 'Bearer 5ecret-of-the-test';
const kAtOnce = 3000; // ms: a caller must not wait for a timeout
const kBackWithin = 20_000; // ms: the first steps of the back-off, and Node's start

// What server-everything calls its transports, and where it serves them.
const transports = [
  { type: 'sse', mode: 'sse', path: '/sse' },
  { type: 'streamable-http', mode: 'streamableHttp', path: '/mcp' },
];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

// server-everything, started by the test.
class Elsewhere {
  static async start(t, mode, port) {
    const server = new Elsewhere();
    server.port = port ?? (await freePort());
    server.process = spawn(process.execPath, [everythingPath, mode], {
      env: { ...process.env, PORT: String(server.port) },
      stdio: 'ignore',
    });
    t.after(() => server.kill());
    await until('it listens', () => fetch(`http://127.0.0.1:${server.port}/none`), { within: kBackWithin });
    return server;
  }

  async kill() {
    const ended = this.process.exitCode === null && this.process.signalCode === null ? once(this.process, 'exit') : null;
    this.process.kill('SIGKILL');
    await ended;
  }
}

// Stands before a server, wants credentials, and keeps the requests' heads.
async function guarded(t, port) {
  const seen = [];
  const proxy = http.createServer((request, response) => {
    seen.push({ method: request.method, url: request.url, headers: request.headers });
    if (request.headers.authorization !== kSecret) {
      response.writeHead(401).end(`not ${request.headers.authorization}`);
      return;
    }
    const onward = http.request({ port, host: '127.0.0.1', method: request.method, path: request.url, headers: request.headers });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { port: proxy.address().port, seen };
}

const echoed = async (client, message) => text(await client.callTool({ name: 'echo', arguments: { message } }));

// A call that takes a while, and what came of it: {error} or {result}.
function longCall(session, id) {
  const params = { name: 'trigger-long-running-operation', arguments: { duration: 60, steps: 60 }, _meta: { progressToken: 1 } };
  return session.call(id, 'tools/call', params, { timeout: 30_000 });
}

for (const { type, mode, path } of transports) {
  const inPod = async (spec = {}) => ({
    command: [process.execPath, everythingPath, mode],
    transport: { type, port: await freePort() },
    ...spec,
  });

  test(`${type}: a server that unmcp starts is known, asleep, woken by both SDKs, and put to sleep`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { everything: await inPod({ idleTimeout: 1 }) } });
    const before = await unmcp.asleep('everything', { within: kBackWithin });
    assert.ok(before.status.serverInfo.name);
    for (const sdk of sdks) {
      const client = await sdk.connect(t, unmcp.sse('everything'));
      const { tools } = await client.listTools();
      assert.equal(tools.length, before.status.toolCount);
      assert.equal(await echoed(client, 'grüß "dich"'), 'Echo: grüß "dich"');
      assert.equal(unmcp.serverProcesses().length, 1);
      const seen = [];
      const call = { name: 'trigger-long-running-operation', arguments: { duration: 2, steps: 2 } };
      const options = { onprogress: ({ progress }) => seen.push(progress) };
      // v1 takes a result schema before the options.
      await (sdk.name === 'SDK v1' ? client.callTool(call, undefined, options) : client.callTool(call, options));
      assert.ok(seen.length >= 1, 'progress arrives');
      await client.close();
    }
    await unmcp.asleep('everything');
  });

  test(`${type}: two clients at once with the same ids: every answer is its caller's`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { everything: await inPod() } });
    const clients = await Promise.all([...sdks, ...sdks].map((sdk) => sdk.connect(t, unmcp.sse('everything'))));
    await Promise.all(
      clients.flatMap((client, index) =>
        Array.from({ length: 50 }, async (_, call) => {
          const sent = `client ${index} call ${call}`;
          assert.equal(await echoed(client, sent), `Echo: ${sent}`);
        }),
      ),
    );
    assert.equal(unmcp.serverProcesses().length, 1);
  });

  test(`${type}: killed in the middle of a call, the call fails at once, and the next session works`, async (t) => {
    const unmcp = await Unmcp.up(t, { servers: { everything: await inPod() } });
    const session = await RawSession.connect(t, unmcp.sse('everything'));
    const hanging = longCall(session, 7);
    await until('the call runs', () => session.messages.some(({ method }) => method === 'notifications/progress'));
    const [pid] = unmcp.serverProcesses();
    process.kill(pid, 'SIGKILL');
    const begin = performance.now();
    const answer = await hanging;
    assert.equal(answer.error?.code, -32603, JSON.stringify(answer));
    assert.ok(performance.now() - begin < kAtOnce, `it took ${performance.now() - begin} ms`);
    await until('a new session works', async () => {
      const again = await RawSession.open(t, unmcp.sse('everything'));
      if (again.response.statusCode !== 200) throw new Error(`GET: ${again.response.statusCode}`);
      await again.initialize();
      return (await again.tool(1, 'echo', { message: 'x' })).result.content[0].text === 'Echo: x';
    }, { within: kBackWithin });
    assert.ok(!alive(pid));
  });

  test(`${type}: a server elsewhere is asked with its headers, from a Secret, and they are shown nowhere`, async (t) => {
    const elsewhere = await Elsewhere.start(t, mode);
    const { port, seen } = await guarded(t, elsewhere.port);
    const unmcp = await Unmcp.up(t);
    const create = async (name, headers) => {
      const spec = { url: `http://127.0.0.1:${port}${path}?apiKey=5ecret-in-the-url`, transport: { type }, headers };
      const body = JSON.stringify({ name, spec });
      const answer = await unmcp.get('/api/v1/servers', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      assert.equal(answer.status, 201, answer.text);
      return answer.json;
    };
    const created = await create('remote', [
      { name: 'Authorization', value: kSecret },
      { name: 'X-Literal', value: 'seven' },
    ]);
    assert.ok(created.spec.headers[0].valueFrom.secretKeyRef, 'it was put into a Secret');
    assert.equal(created.spec.url, `http://127.0.0.1:${port}${path}?apiKey=$(UNMCP_URL_0)`);
    await create('stranger', [{ name: 'Authorization', value: 'Bearer wr0ng-credentials' }]);
    await create('unset', [{ name: 'Authorization', valueFrom: { secretKeyRef: { name: 'none', key: 'a' } } }]);
    const known = await unmcp.phase('remote', 'Ready', { and: (status) => status.toolCount > 0 });
    for (const sdk of sdks) {
      const client = await sdk.connect(t, unmcp.sse('remote'));
      assert.equal((await client.listTools()).tools.length, known.status.toolCount);
      assert.equal(await echoed(client, sdk.name), `Echo: ${sdk.name}`);
    }
    assert.deepEqual(unmcp.serverProcesses(), [], 'nothing was started');
    const ours = seen.filter(({ headers }) => headers.authorization === kSecret);
    assert.ok(ours.length > 4);
    for (const { headers } of ours) assert.equal(headers['x-literal'], 'seven');

    assert.ok(ours.some(({ url }) => url === `${path}?apiKey=5ecret-in-the-url`), 'the server was asked with the value');

    const message = (server) => JSON.stringify(server.status.conditions);
    const refused = await until('what is wrong is said', async () => {
      const server = await unmcp.server('stranger');
      return message(server).includes('spec.headers') && server;
    });
    assert.ok(!message(refused).includes('wr0ng'), message(refused));
    await until('what is missing is said', async () => message(await unmcp.server('unset')).includes('spec.headers[0]'));
    for (const secret of ['5ecret-of-the-test', '5ecret-in-the-url', 'wr0ng-credentials']) {
      assert.ok(!unmcp.stderr.includes(secret), 'the log has a header value');
    }
  });

  test(`${type}: a server elsewhere that goes and comes back`, async (t) => {
    const elsewhere = await Elsewhere.start(t, mode);
    const unmcp = await Unmcp.up(t, {
      servers: { remote: { url: `http://127.0.0.1:${elsewhere.port}${path}`, transport: { type } } },
    });
    await unmcp.phase('remote', 'Ready');
    const session = await RawSession.connect(t, unmcp.sse('remote'));
    const hanging = longCall(session, 7);
    await until('the call runs', () => session.messages.some(({ method }) => method === 'notifications/progress'));
    await elsewhere.kill();
    const begin = performance.now();
    assert.equal((await hanging).error?.code, -32603);
    assert.ok(performance.now() - begin < kAtOnce, `it took ${performance.now() - begin} ms`);

    await Elsewhere.start(t, mode, elsewhere.port);
    await until('a session works', async () => {
      const again = await RawSession.open(t, unmcp.sse('remote'));
      if (again.response.statusCode !== 200) throw new Error(`GET: ${again.response.statusCode}`);
      await again.initialize();
      return (await again.tool(1, 'echo', { message: 'x' })).result.content[0].text === 'Echo: x';
    }, { within: kBackWithin });
  });

  test(`${type}: a sampling request reaches the client whose call it is for`, async (t) => {
    const elsewhere = await Elsewhere.start(t, mode);
    const unmcp = await Unmcp.up(t, {
      servers: { remote: { url: `http://127.0.0.1:${elsewhere.port}${path}`, transport: { type } } },
    });
    const session = await RawSession.open(t, unmcp.sse('remote'));
    await session.call('init', 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: { sampling: {} },
      clientInfo: { name: 'e2e', version: '1' },
    });
    await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const call = session.tool(1, 'trigger-sampling-request', { prompt: 'hello', maxTokens: 10 });
    const request = await until('the server asks', () => session.messages.find(({ method }) => method === 'sampling/createMessage'));
    await session.post({
      jsonrpc: '2.0',
      id: request.id,
      result: { role: 'assistant', model: 'm', content: { type: 'text', text: 'from the client' } },
    });
    assert.match(JSON.stringify((await call).result), /from the client/);
  });
}
